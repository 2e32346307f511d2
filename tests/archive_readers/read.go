// Reads archive segments with one library, and prints how many records and bytes it has read.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/hamba/avro/v2/ocf"
	"github.com/linkedin/goavro/v2"
)

var count, keys, values, headers int

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A union of goavro is nil, or a map from the branch's name; hamba gives the value itself.
func raw(value any) int {
	switch value := value.(type) {
	case nil:
		return 0
	case map[string]any:
		return len(value["bytes"].([]byte))
	default:
		return len(value.([]byte))
	}
}

func take(record map[string]any) {
	count++
	keys += raw(record["key"])
	values += raw(record["value"])
	all := record["headers"]
	if branch, is := all.(map[string]any); is {
		all = branch["array"]
	}
	if all == nil {
		return
	}
	for _, header := range all.([]any) {
		header := header.(map[string]any)
		headers += len(header["name"].(string)) + raw(header["value"])
	}
}

func main() {
	list, err := os.ReadFile(os.Args[2])
	check(err)
	for _, name := range strings.Fields(string(list)) {
		file, err := os.Open(name)
		check(err)
		if os.Args[1] == "goavro" {
			reader, err := goavro.NewOCFReader(file)
			check(err)
			for reader.Scan() {
				record, err := reader.Read()
				check(err)
				take(record.(map[string]any))
			}
			check(reader.Err())
		} else {
			decoder, err := ocf.NewDecoder(file)
			check(err)
			for decoder.HasNext() {
				var record map[string]any
				check(decoder.Decode(&record))
				take(record)
			}
			check(decoder.Error())
		}
		file.Close()
	}
	fmt.Printf("records %d bytes of keys %d values %d headers %d\n", count, keys, values, headers)
}
