// Reads archive segments with one library, and prints how many records and bytes it has read.
const fs = require('fs');
const [library, list] = process.argv.slice(2);
const avro = require(library);
const files = fs.readFileSync(list, 'utf8').split('\n').slice(0, -1);
const sums = { count: 0, keys: 0, values: 0, headers: 0 };
// A union is the value itself, or an object that names the branch.
const raw = union => (union === null ? Buffer.alloc(0) : union.bytes || union);

function take(record) {
  sums.count += 1;
  sums.keys += raw(record.key).length;
  sums.values += raw(record.value).length;
  const headers = record.headers === null ? [] : record.headers.array || record.headers;
  for (const header of headers) sums.headers += Buffer.byteLength(header.name) + raw(header.value).length;
}

const read = file => new Promise((done, failed) => {
  avro.createFileDecoder(file).on('data', take).on('end', done).on('error', failed);
});

(async () => {
  for (const file of files) await read(file);
  console.log(`records ${sums.count} bytes of keys ${sums.keys} values ${sums.values} headers ${sums.headers}`);
})().catch(error => { console.error(error.message); process.exit(1); });
