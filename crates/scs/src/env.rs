//! Names of the environment variables that are read, in one place; `scs docs commands` lists them.

/// Directory of state, logs and volumes.
pub const STATE_DIR: &str = "SCS_STATE_DIR";
/// Environment, where `--env` is not given.
pub const ENVIRONMENT: &str = "SCS_ENV";
/// Server to speak to, where `--context` is not given.
pub const CONTEXT: &str = "SCS_CONTEXT";
/// Answers every question with yes, like `-y`.
pub const YES: &str = "SCS_YES";
/// Discovery server of `scs run` and `scs disco`, where none is named.
pub const DISCO: &str = "SCS_DISCO";
/// Directories of finished images, separated by colons.
pub const CACHE: &str = "SCS_CACHE";
/// What `scs dev` and `scs run` log.
pub const LOG: &str = "SCS_LOG";
/// Where `scs server` listens, where `--listen` is not given.
pub const LISTEN: &str = "SCS_LISTEN";
/// Where its HTTP API is, where `--http` is not given.
pub const HTTP: &str = "SCS_HTTP";
/// Where others reach `scs server` and `scs agent`, where `--advertise` is not given.
pub const ADVERTISE: &str = "SCS_ADVERTISE";
/// Server that `scs agent` joins, where `--server` is not given.
pub const SERVER: &str = "SCS_SERVER";
/// Token that `scs agent` joins with, where `--token` is not given.
pub const TOKEN: &str = "SCS_TOKEN";
/// File with that token, where `--token-file` is not given.
pub const TOKEN_FILE: &str = "SCS_TOKEN_FILE";
/// Certificates of `scs server` and of `scs disco`, where `--certificates` is not given.
pub const CERTIFICATES: &str = "SCS_CERTIFICATES";
/// Switches colors off.
pub const NO_COLOR: &str = "NO_COLOR";
/// Where the container engine listens.
pub const DOCKER_HOST: &str = "DOCKER_HOST";
/// Base of a user's state directories.
pub const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
/// Base of a user's configuration.
pub const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
/// A user's home.
pub const HOME: &str = "HOME";
/// Where systemd wants to be told that a service is ready.
pub const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Each with what it means and its default, in the order of the page.
pub const TABLE: &[(&str, &str)] = &[
    (STATE_DIR, "Directory of state, logs and volumes. Default: `/var/lib/scs` for root, else `$XDG_STATE_HOME/scs`"),
    (ENVIRONMENT, "Environment, where `--env` is not given. Default: `dev`"),
    (
        CONTEXT,
        "Server to speak to, where `--context` is not given. Default: the one of `scs context use`, else `local`",
    ),
    (YES, "Answers every question with yes, like `-y`, unless empty or `0`"),
    (
        CACHE,
        "Directories in which finished images are looked for and left, separated by colons. Read by `scs dev` and `scs run`",
    ),
    (
        DISCO,
        "Discovery server of `scs run` and `scs disco`, or several separated by commas, where none is named. Default: the one of `scs dev`",
    ),
    (ADVERTISE, "Where others reach `scs server` and `scs agent`, where `--advertise` is not given"),
    (SERVER, "Server that `scs agent` joins, where `--server` is not given"),
    (TOKEN, "One-time token that `scs agent` joins with, where `--token` is not given"),
    (TOKEN_FILE, "File that holds the token, where `--token-file` is not given"),
    (LISTEN, "Where `scs server` listens, where `--listen` is not given. Default: `127.0.0.1:9640`"),
    (HTTP, "Where its HTTP API is, where `--http` is not given. Default: `127.0.0.1:9641`"),
    (CERTIFICATES, "Directory of certificates of `scs server` and `scs disco`, where `--certificates` is not given"),
    (LOG, "What `scs dev`, `scs run` and `scs server` log, e.g. `debug` or `scs_agent=trace`. Default: `info`"),
    (DOCKER_HOST, "Where the container engine listens. Default: `unix:///var/run/docker.sock`"),
    (NO_COLOR, "Switches colors off, unless empty"),
];
