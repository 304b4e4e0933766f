//! What rsync is run with on either side.

use crate::Error;
use scs_api::transfer::Compare;

/// Stands for the volume in what the client asks for; the source puts its own directory there.
pub(crate) const VOLUME: &str = "volume/";
/// The name of the host that the client believes to speak to; it goes nowhere.
pub(crate) const PEER: &str = "peer";

/// Flags of one letter that the sender may be asked for. None of them writes, follows links or reads arguments from elsewhere.
const LETTERS: &str = "vlHogDtpAXrcSRd";
/// Options of the sender that have no value, or one that is a number.
const PLAIN: [&str; 7] = [
    "--numeric-ids",
    "--inplace",
    "--partial",
    "--from0",
    "--files-from=-",
    "--ignore-missing-args",
    "--modify-window=-1",
];

/// Options of the client for a pass.
pub(crate) fn client(compare: &Compare, inplace: bool, bandwidth: Option<u64>) -> Vec<String> {
    // Times are compared to the nanosecond: what was written in the second in which it was copied has another time.
    let mut arguments: Vec<String> =
        ["-aHAXS", "--numeric-ids", "--fsync", "--modify-window=-1", "--no-motd"].map(str::to_owned).into();
    arguments.extend(["--info=progress2", "--no-human-readable", "--stats", "--outbuf=L"].map(str::to_owned));
    // In place nothing but what differs is written, which makes the last pass of large files short, but of files with several
    // names each would be overwritten by the other.
    arguments.push(if inplace { "--inplace".to_owned() } else { "--partial".to_owned() });
    match compare {
        Compare::Times => arguments.push("--delete".to_owned()),
        Compare::Content => arguments.extend(["--delete", "--checksum"].map(str::to_owned)),
        // What was mapped while it ran may be gone once it has stopped, such as the shared memory of SQLite.
        Compare::These(_) => {
            arguments.extend(["--checksum", "--from0", "--ignore-missing-args"].map(str::to_owned));
        }
    }
    // rsync counts in units of 1024 bytes, and 0 means no limit.
    arguments.extend(bandwidth.map(|bytes| format!("--bwlimit={}", (bytes / 1024).max(1))));
    arguments
}

/// What the source's rsync is run with, made of what the client asked for.
pub(crate) fn sender(asked: &[String]) -> Result<Vec<String>, Error> {
    let refuse = |argument: &str| Err(Error::Refused { argument: argument.to_owned() });
    let [peer, program, server, sender, middle @ .., dot, volume] = asked else { return refuse(&asked.join(" ")) };
    let frame =
        [(peer, PEER), (program, "rsync"), (server, "--server"), (sender, "--sender"), (dot, "."), (volume, VOLUME)];
    if let Some((found, _)) = frame.iter().find(|(found, expected)| found.as_str() != *expected) {
        return refuse(found);
    }
    for argument in middle {
        if !is_known(argument) {
            return refuse(argument);
        }
    }
    let mut arguments = vec!["--server".to_owned(), "--sender".to_owned()];
    arguments.extend(middle.iter().cloned());
    arguments.extend([".", "./"].map(str::to_owned));
    Ok(arguments)
}

fn is_known(argument: &str) -> bool {
    if let Some(number) = argument.strip_prefix("--bwlimit=") {
        return !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    }
    if let Some(flags) = argument.strip_prefix('-').filter(|rest| !rest.starts_with('-')) {
        // After `e.` come letters that say what the client is able to, which change nothing that is done.
        let (letters, abilities) = flags.split_once("e.").unwrap_or((flags, ""));
        return letters.chars().all(|letter| LETTERS.contains(letter))
            && abilities.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    }
    PLAIN.contains(&argument)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(middle: &[&str]) -> Vec<String> {
        let all = [PEER, "rsync", "--server", "--sender"].iter().chain(middle).chain(&[".", VOLUME]);
        all.map(|argument| (*argument).to_owned()).collect()
    }

    #[test]
    fn the_directory_is_never_taken_from_the_other_side() {
        let sender = sender(&asked(&["-lHogDtpAXrSe.iLsfxCIvu", "--numeric-ids", "--bwlimit=10"])).unwrap();
        let expected = ["--server", "--sender", "-lHogDtpAXrSe.iLsfxCIvu", "--numeric-ids", "--bwlimit=10", ".", "./"];
        assert_eq!(sender, expected);
        let mut elsewhere = asked(&["-re."]);
        *elsewhere.last_mut().unwrap() = "/etc/".to_owned();
        assert!(matches!(super::sender(&elsewhere), Err(Error::Refused { argument }) if argument == "/etc/"));
    }

    #[test]
    fn whatever_else_is_asked_for_is_refused() {
        for argument in [
            "--remove-source-files",
            "--log-file=/etc/passwd",
            "-sre.",
            "-Lre.",
            "--copy-links",
            "--files-from=/etc/shadow",
            "--daemon",
            "--bwlimit=",
            "--bwlimit=1;x",
            "/etc",
            "",
            "-",
            "--",
            "-M--daemon",
            "--rsync-path=sh",
            "-re.$(id)",
        ] {
            let refused = sender(&asked(&[argument]));
            let empty = argument == "-"; // No letters at all ask for nothing.
            assert_eq!(refused.is_err(), !empty, "{argument:?}: {refused:?}");
        }
        assert!(sender(&["rsync".to_owned()]).is_err());
        assert!(sender(&[]).is_err());
    }
}
