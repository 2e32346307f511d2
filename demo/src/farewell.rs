//! What a person is told when `--keep` leaves everything running: where it is, what to try, how to stop it.

use crate::scene::Scene;

/// The page. `sample_order` is an order id worth looking at.
pub(crate) fn text(scene: &Scene, sample_order: Option<&str>) -> String {
    let mut page = String::from("\nEverything keeps running.\n\n");
    page.push_str(&format!("  export KAFKA_BROKERS='{}'\n", scene.brokers));
    page.push_str(&format!("  export DATABASE_URL='{}'\n", scene.database_url));
    if !scene.topic_prefix.is_empty() {
        page.push_str(&format!("  export TOPIC_PREFIX='{}'\n", scene.topic_prefix));
    }
    page.push_str(&format!("\n  schemas {}; logs in {}\n\n", scene.schemas.join(", "), scene.logs.display()));
    for daemon in &scene.daemons {
        let (name, address, pid) = (&daemon.name, daemon.address, daemon.pid);
        page.push_str(&format!("  {name:<13} process {pid:<8} http://{address}/metrics  (and /readyz, /livez)\n"));
    }
    let orders = "cargo run -q --release -p workers --bin orders --";
    let order = sample_order.unwrap_or("ORDER_ID");
    page.push_str(&format!(
        "\nTry next, with the lines above in your shell:\n\n  \
         {orders} show {order}\n  \
         {orders} stock show | head\n  \
         {orders} watch            (and in another shell:)\n  \
         cargo run -q --release -p workers --example publish\n"
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
