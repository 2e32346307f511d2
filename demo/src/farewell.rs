//! What a person is told when `--keep` leaves everything running: where it is, what to try, how to stop it.

use std::path::Path;

use schemas::ServiceName;

use crate::example;
use crate::scene::Scene;

/// Lines for a shell: the addresses, and the folder of the programs in `PATH`.
pub(crate) fn exports(scene: &Scene) -> String {
    let program = std::env::current_exe().ok();
    let mut lines = format!(
        "export KAFKA_BROKERS={}\nexport DATABASE_URL={}\nexport TOPIC_PREFIX={}\n",
        quoted(&scene.brokers),
        quoted(&scene.database_url),
        quoted(&scene.topic_prefix)
    );
    if let Ok(url) = scene.api_url() {
        lines.push_str(&format!("export API={}\n", quoted(&url)));
    }
    if let Some(folder) = program.as_deref().and_then(Path::parent) {
        lines.push_str(&format!("export PATH={}:\"$PATH\"\n", quoted(&folder.display().to_string())));
    }
    lines
}

/// A word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The page. `sample_order` is an order id worth looking at.
pub(crate) fn text(scene: &Scene, sample_order: Option<&str>) -> String {
    let mut page = String::from("\nEverything keeps running.\n\n");
    for line in exports(scene).lines() {
        page.push_str(&format!("  {line}\n"));
    }
    let schemas = ServiceName::ALL.map(|service| scene.schema(service));
    let schemas = schemas.into_iter().chain([scene.view_schema()]).collect::<Vec<_>>();
    page.push_str(&format!("\n  schemas {}; logs in {}\n\n", schemas.join(", "), scene.logs.display()));
    for daemon in &scene.daemons {
        let (name, address, pid) = (&daemon.name, daemon.address, daemon.pid);
        page.push_str(&format!("  {name:<13} process {pid:<8} http://{address}/metrics  (and /readyz, /livez)\n"));
    }
    if let Some(console) = scene.console_url() {
        page.push_str(&format!(
            "\n  Open {console} in a browser: the console, where people see all of it and free what is stuck.\n"
        ));
    }
    let order = sample_order.unwrap_or("ORDER_ID");
    let example = example::ORDER;
    page.push_str(&format!(
        "\nTry next, with the lines above in your shell, or: eval \"$(cargo demo env)\"\n\n  \
         orders show {order}\n  \
         orders stock show | head\n  \
         orders watch            (and in another shell:)\n  \
         echo '{example}' | orders publish --wait -\n  \
         curl -s $API/orders/{order}   (over HTTP; orders --api \"$API\" goes the same way)\n"
    ));
    if let Some(daemon) = scene.daemons.iter().find(|daemon| daemon.name.ends_with("-2")) {
        page.push_str(&format!(
            "  kill -9 {}             (the other {} workers take over)\n",
            daemon.pid, daemon.service
        ));
    }
    page.push_str("\nStop it:\n\n  cargo demo stop\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let text = "a'b \"c\" $d";
        let script = format!("printf %s {}", quoted(text));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    }
}
