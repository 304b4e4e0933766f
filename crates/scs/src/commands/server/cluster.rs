//! The control plane of a cluster: authority, desired state, hosts, and the API over TLS and over the server's own socket.

use super::admission::Gate;
use super::authority::Own;
use crate::cli::server::Server;
use crate::dev::daemon;
use crate::exit::Failure;
use crate::output::say;
use crate::wiring::bundles;
use crate::wiring::discovery::Registry;
use crate::wiring::installation::host_name;
use scs_api::join::{Purpose, TokenRequest};
use scs_api::person::Role;
use scs_control::api::TlsListener;
use scs_control::store::Embedded;
use scs_control::trust::OwnAuthority;
use scs_control::{Handle, Options, Ports, Service};
use scs_image::source::BundleStore;
use scs_pki::Live;
use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

/// Port of the API.
const API: u16 = 9641;

/// What was asked for, checked; nothing is bound yet.
#[derive(Debug)]
pub struct Plan {
    own: Own,
    /// The server's certificate.
    pub live: Arc<Live>,
    /// Who may do what in discovery.
    pub gate: Arc<Gate>,
    state: PathBuf,
    api: SocketAddr,
    /// Where others find discovery.
    disco: String,
    /// Where people find the API.
    url: String,
}

/// The control plane, bound.
#[derive(Debug)]
pub struct Bound {
    plan: Plan,
    service: Service,
    handle: Handle,
    api: TcpListener,
    socket: UnixListener,
}

/// Where a server of a cluster listens, where nobody says: at the one address that it advertises, or at all of its machine's.
pub fn listen(args: &Server, port: u16) -> SocketAddr {
    let address = match args.advertise.as_slice() {
        [one] => one.parse::<IpAddr>().ok(),
        _ => None,
    };
    SocketAddr::from((address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), port))
}

/// Checks what was asked for, and opens or makes the authority.
///
/// # Errors
/// Where an address makes no sense, or the authority's files cannot be used.
pub fn plan(args: &Server, state: &Path, disco: u16, secret: [u8; 32]) -> Result<Plan, Failure> {
    for address in &args.advertise {
        let unspecified = address.parse::<IpAddr>().is_ok_and(|it| it.is_unspecified() || it.is_multicast());
        if unspecified || address.is_empty() || address.contains('/') {
            return Err(Failure::usage(format!("`{address}` is no name or address that others could connect to"))
                .hint("say `--advertise scs.example.org` or `--advertise 198.51.100.11`; nothing was started"));
        }
    }
    let first = args.advertise.first().map(String::as_str).unwrap_or_default();
    let at = |port: u16| match first.parse::<IpAddr>() {
        Ok(address) => SocketAddr::from((address, port)).to_string(),
        Err(_) => format!("{first}:{port}"),
    };
    let own = Own::new(state, &args.name.clone().unwrap_or_else(host_name), &args.advertise);
    let live = own.open(secret)?;
    let api = args.api.unwrap_or_else(|| listen(args, API));
    Ok(Plan {
        own,
        live,
        gate: Arc::new(Gate::new()),
        state: state.to_owned(),
        api,
        disco: at(disco),
        url: format!("https://{}", at(api.port())),
    })
}

impl Plan {
    /// Opens desired state and binds the API.
    ///
    /// # Errors
    /// Where either cannot be.
    pub async fn bind(self, registry: disco_server::Handle) -> Result<Bound, Failure> {
        let state_directory = self.state.join("control");
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::failed("cannot open desired state")
                .because(error)
                .hint("hosts keep what they run; nothing was changed")
        };
        let store = Embedded::open(&state_directory).map_err(|error| failed(&error))?;
        let authority = OwnAuthority::new(self.own.directory().to_owned());
        let options = Options {
            state_directory,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            loss_grace: Default::default(),
            lease: scs_control::LEASE,
        };
        let ports = Ports {
            store: Arc::new(store),
            agents: Vec::new(),
            connect: Some(Arc::new(scs_remote::Connector::new(self.live.clone()))),
            authority: Some(Arc::new(authority)),
            discovery: Arc::new(Registry { handle: registry, address: self.disco.clone() }),
            bundles: Arc::new(bundles::Store(BundleStore::new(self.state.join("bundles")))),
        };
        let (service, handle) = Service::open(options, ports).await.map_err(|error| failed(&error))?;
        let api = TcpListener::bind(self.api).await.map_err(|error| {
            Failure::unavailable(format!("cannot listen on {}", self.api))
                .because(&error)
                .hint("is another server there, or is --advertise no address of this machine? nothing was started")
        })?;
        let socket = daemon::listen(&self.state.join("scs.sock"))?;
        Ok(Bound { plan: self, service, handle, api, socket })
    }
}

impl Bound {
    /// Where the API is, for people.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.plan.url
    }

    /// Tells whoever started it how to get in, where nobody has yet.
    ///
    /// # Errors
    /// Where desired state cannot be read or changed.
    pub async fn welcome(&self) -> Result<(), Failure> {
        if !self.handle.people().await?.is_empty() {
            return Ok(());
        }
        let socket = self.plan.state.join("scs.sock");
        if !std::io::stderr().is_terminal() {
            // A log is no place for a token.
            tracing::info!(
                socket = %socket.display(),
                "nobody has joined yet: on this machine, `scs context add NAME unix:SOCKET` gets in, and `scs person token NAME --role ROLE` lets others in"
            );
            return Ok(());
        }
        let purpose =
            Purpose::Person { name: "admin".to_owned(), role: Role::Admin, environments: vec!["*".to_owned()] };
        let token = self.handle.make_token(TokenRequest { purpose, seconds: None }, "the first start").await?;
        say("Nobody has joined yet. Within the hour, from anywhere:");
        say(&format!("  scs context add prod {} --token {}", self.plan.url, token.token));
        say("or on this machine, whenever:");
        say(&format!("  scs context add prod unix:{}", socket.display()));
        Ok(())
    }

    /// Runs until told to end; the containers on the hosts keep running then.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { plan, service, handle, api, socket } = self;
        let admission = handle.admission();
        let serving = async |result: std::io::Result<()>| {
            if let Err(error) = result {
                tracing::error!(%error, "the API ended badly");
            }
        };
        let listener = TlsListener::new(api, plan.live.clone());
        let parts = async {
            tokio::join!(
                service.run(shutdown.clone()),
                async {
                    serving(scs_control::api::serve(listener, handle.clone(), shutdown.clone()).await).await;
                },
                async {
                    serving(scs_control::api::serve(socket, handle.clone(), shutdown.clone()).await).await;
                },
            )
        };
        tokio::select! {
            _ = parts => {}
            () = plan.gate.follow(admission) => {}
            () = plan.own.keep_renewed(plan.live.clone()) => {}
        }
        let _ = std::fs::remove_file(plan.state.join("scs.sock"));
    }
}
