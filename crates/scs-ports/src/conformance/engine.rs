//! The suite of the engine port, with images of the helper program alone: it needs no registry and no distribution.

mod containers;
mod images;
mod output;
mod places;

pub use containers::*;
pub use images::*;
pub use output::*;
pub use places::*;

use super::soon;
use crate::engine::{Create, Engine, Error, Exec, Labels, Logs, Port};
use futures_util::StreamExt;
use scs_manifest::compiled::Protocol;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// An engine to test. Whoever makes it removes, by its labels, what a test that fails leaves.
#[derive(Debug, Clone)]
pub struct World {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// An image that holds the helper program.
    pub image: String,
    /// The helper program's path in it. The suite uses its commands `play` and `serve`.
    pub program: String,
    /// A name unique to the test, which the names of all it makes begin with.
    pub name: String,
    /// Labels unique to the test.
    pub labels: Labels,
    /// A root file system as a tar, to import.
    pub rootfs: bytes::Bytes,
}

/// Makes a test of each function here, over a new world from `$setup`: an async function that returns a [`World`] and
/// anything that is to live as long as the test.
#[macro_export]
macro_rules! engine_conformance {
    ($setup:path) => {
        $crate::engine_conformance!($setup;
            it_says_who_it_is,
            a_container_is_created_runs_and_ends,
            starting_and_stopping_are_idempotent,
            what_is_not_there_is_named,
            a_taken_name_is_a_conflict,
            a_renamed_container_goes_by_its_new_name,
            the_exit_code_is_told_to_who_waits,
            who_waits_for_a_container_not_yet_started_waits_for_its_end,
            one_that_is_deaf_is_killed_after_the_grace_period,
            a_signal_reaches_process_1,
            labels_select_containers,
            a_container_says_when_it_started,
            events_tell_the_life_of_a_container,
            events_can_be_narrowed_by_label,
            output_comes_in_lines_of_both_streams,
            the_last_lines_can_be_asked_for,
            output_can_be_narrowed_in_time,
            following_goes_on_until_the_container_ends,
            a_command_runs_inside_with_its_own_environment,
            a_command_reads_its_input,
            a_command_that_runs_has_no_exit_code_yet,
            no_command_runs_in_a_stopped_container,
            who_attaches_before_the_start_misses_nothing,
            an_attached_container_reads_its_input_to_its_end,
            an_attached_terminal_can_be_resized,
            a_file_of_a_container_is_read_whether_it_runs_or_not,
            the_rest_of_a_file_is_read_from_where_one_was,
            an_image_is_found_by_name_id_and_label,
            an_imported_image_carries_its_labels,
            a_second_name_is_given_and_taken_away,
            a_saved_image_can_be_loaded_again,
            an_image_in_use_is_not_removed,
            an_image_of_a_container_carries_none_of_its_labels,
            an_image_nobody_has_cannot_be_pulled,
            a_port_left_to_the_engine_is_told,
            a_port_that_is_taken_is_named,
            a_network_is_made_once_and_has_a_gateway,
            a_network_in_use_is_not_removed,
            a_volume_is_made_once,
            a_volume_in_use_is_not_removed,
        );
    };
    ($setup:path; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (world, _guard) = $setup().await;
                $crate::conformance::engine::$case(&world).await;
            }
        )*
    };
}

/// `why`, if it is an error.
fn done<T>(what: &str, result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}

impl World {
    fn named(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    /// A container that does this: a command of the helper.
    fn container(&self, what: &str, command: &[&str]) -> Create {
        Create {
            name: self.named(what),
            image: self.image.clone(),
            labels: self.labels.clone(),
            command: Some(self.words(command)),
            network: "none".to_owned(),
            ..Create::default()
        }
    }

    fn words(&self, command: &[&str]) -> Vec<String> {
        [self.program.as_str()].iter().chain(command).map(|it| (*it).to_owned()).collect()
    }

    fn command(&self, command: &[&str]) -> Exec {
        Exec { command: self.words(command), ..Exec::default() }
    }

    async fn create(&self, request: &Create) -> String {
        done(&request.name, soon("a container's creation", self.engine.create(request)).await)
    }

    /// Creates and starts it.
    async fn run(&self, request: &Create) -> String {
        let id = self.create(request).await;
        done(&request.name, soon("a container's start", self.engine.start(&id)).await);
        id
    }

    /// One that runs until it is stopped.
    async fn runs(&self, what: &str) -> String {
        self.run(&self.container(what, &["play", "sleep=1h"])).await
    }

    /// Waits for the first line of its output: before process 1 has got so far, it is deaf to signals.
    async fn ready(&self, id: &str) {
        let request = Logs { follow: true, ..Logs::default() };
        let mut output = done("logs", self.engine.logs(id, &request).await);
        let line = soon("the first line", output.next()).await.expect("it writes one");
        done("the first line", line);
    }

    async fn remove(&self, id: &str) {
        done("removal", soon("a container's removal", self.engine.remove(id)).await);
    }

    fn tcp(host_port: u16) -> Port {
        let host_address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Port { container_port: 80, protocol: Protocol::Tcp, host_address, host_port }
    }
}
