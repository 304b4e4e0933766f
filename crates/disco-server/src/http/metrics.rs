//! `GET /metrics`, for Prometheus.

use std::{
    fs,
    sync::{Arc, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::Registry,
};

use super::{Shared, problem::Problem};
use crate::Stats;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// Counters and gauges, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"),
    (status = 503, description = "`unavailable`", body = Problem),
))]
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let stats = shared.handle.stats().await?;
    let mut registry = Registry::default();
    of_connections(&mut registry, &shared);
    of_registry(&mut registry, &stats);
    of_process(&mut registry, &shared);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Problem::unavailable(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

fn of_connections(registry: &mut Registry, shared: &Shared) {
    let traffic = &shared.traffic;
    let counters = [
        ("disco_connections", "Connections taken", &traffic.connections),
        ("disco_messages_received", "Messages heard from clients", &traffic.messages),
        ("disco_messages_invalid", "Lines from clients that were no message", &traffic.broken),
    ];
    for (name, help, counter) in counters {
        registry.register(name, help, ConstCounter::new(counter.load(Ordering::Relaxed)));
    }
    let open = i64::try_from(traffic.open.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
    registry.register("disco_connections_open", "Connections open now", ConstGauge::new(open));
    let refused = Family::<Labels, Counter>::default();
    for (code, count) in traffic.refused() {
        refused.get_or_create(&vec![("code", code)]).inc_by(count);
    }
    registry.register("disco_connections_refused", "Connections refused, by code", refused);
    let handshakes = Family::<Labels, Counter>::default();
    for (kind, counter) in [("full", &traffic.handshakes), ("resumed", &traffic.resumed)] {
        handshakes.get_or_create(&vec![("kind", kind.to_owned())]).inc_by(counter.load(Ordering::Relaxed));
    }
    registry.register("disco_tls_handshakes", "TLS handshakes made in full, or resumed", handshakes);
    if let Some(live) = &shared.tls {
        let until = seconds(live.credentials().certificate.not_after);
        let help = "When this server's certificate expires, since 1970";
        registry.register("disco_certificate_expiry_timestamp_seconds", help, ConstGauge::new(until));
    }
}

fn of_registry(registry: &mut Registry, stats: &Stats) {
    let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let provisions = &stats.provisions;
    let endpoints = Family::<Labels, Gauge>::default();
    for (state, count) in [
        ("passing", provisions.passing),
        ("draining", provisions.draining),
        ("failing", provisions.failing),
        ("unclaimed", provisions.unclaimed),
    ] {
        endpoints.get_or_create(&vec![("state", state.to_owned())]).set(gauge(count));
    }
    registry.register("disco_endpoints", "Endpoints provided now, by state", endpoints);
    let gauges = [
        ("disco_endpoints_suspect", "Endpoints kept although their provider fell silent", gauge(provisions.suspect)),
        ("disco_sessions", "Sessions, connected or not", gauge(stats.sessions)),
        ("disco_sessions_connected", "Sessions that are connected", gauge(stats.connected)),
        ("disco_requirements", "Requirements of all sessions", gauge(stats.requirements)),
        ("disco_drains", "Withdrawals that wait for their subscribers", gauge(stats.drains)),
        (
            "disco_brake_on",
            "Whether many hosts fell silent at once and are given up slowly",
            i64::from(stats.brake.is_some()),
        ),
        (
            "disco_registry_complete",
            "Whether the server has heard of everyone since its start",
            i64::from(stats.complete),
        ),
    ];
    for (name, help, value) in gauges {
        registry.register(name, help, ConstGauge::new(value));
    }
    let heartbeat = ConstGauge::new(stats.heartbeat.as_secs_f64());
    registry.register("disco_heartbeat_seconds", "The heartbeat that clients are told now", heartbeat);
    for (name, help, value) in [
        ("disco_registry_changes", "Changes of the registry since the start", stats.rev),
        ("disco_deliveries", "Differences told to subscribers", stats.deliveries),
        ("disco_brakes", "Times that many hosts fell silent at once", stats.brakes),
    ] {
        registry.register(name, help, ConstCounter::new(value));
    }
    let drops = Family::<Labels, Counter>::default();
    for (reason, count) in &stats.drops {
        drops.get_or_create(&vec![("reason", reason.to_string())]).inc_by(*count);
    }
    registry.register("disco_drops", "Endpoints that went from the registry, by reason", drops);
    let refusals = Family::<Labels, Counter>::default();
    for ((code, limit), count) in &stats.refusals {
        let limit = limit.map(|limit| limit.to_string()).unwrap_or_default();
        refusals.get_or_create(&vec![("code", code.to_string()), ("limit", limit)]).inc_by(*count);
    }
    registry.register("disco_requests_refused", "Requests refused, by code and limit", refusals);
}

fn of_process(registry: &mut Registry, shared: &Shared) {
    registry.register("disco_build", "The program", Info::new(vec![("version", shared.version.clone())]));
    let started = seconds(shared.started);
    registry.register("process_start_time_seconds", "When the server started, since 1970", ConstGauge::new(started));
    // Where /proc is not mounted, there is nothing to say.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<i64>().ok());
    if let Some(kilobytes) = resident {
        registry.register("process_resident_memory_bytes", "Memory in use", ConstGauge::new(kilobytes * 1024));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let open = i64::try_from(open.count()).unwrap_or(i64::MAX);
        registry.register("process_open_fds", "File descriptors in use", ConstGauge::new(open));
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let most = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse::<i64>().ok());
    if let Some(most) = most {
        registry.register("process_max_fds", "File descriptors that may be in use", ConstGauge::new(most));
    }
}

fn seconds(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}
