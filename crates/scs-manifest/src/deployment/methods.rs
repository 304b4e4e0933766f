//! The methods of volumes and networks, and the options each takes. Data: parser and schema both read it.

use crate::diagnostic::{Diagnostic, listed, suggest};
use crate::reader::Reader;
use crate::tree::{Map, Node};

/// A kind of connection whose methods are chosen by name.
pub(crate) struct Kind {
    /// For errors: "a volume".
    pub(crate) what: &'static str,
    /// What a role and `global` leave out.
    pub(crate) default: &'static str,
    /// Keys that every method takes.
    pub(crate) common: &'static [&'static str],
    pub(crate) methods: &'static [Method],
}

/// A method and its options.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) options: &'static [MethodOption],
}

/// An option of a method.
pub(crate) struct MethodOption {
    pub(crate) name: &'static str,
    pub(crate) kind: OptionKind,
    pub(crate) required: bool,
    pub(crate) about: &'static str,
}

/// What an option's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OptionKind {
    Text,
    Truth,
    Count,
    Size,
    Label,
    InnerPath,
    Texts,
    TextMap,
}

const fn option(name: &'static str, kind: OptionKind, about: &'static str) -> MethodOption {
    MethodOption { name, kind, required: false, about }
}

const fn needed(name: &'static str, kind: OptionKind, about: &'static str) -> MethodOption {
    MethodOption { name, kind, required: true, about }
}

use OptionKind::{Count, InnerPath, Label, Size, Text, TextMap, Texts, Truth};

pub(crate) const VOLUME: Kind = Kind {
    what: "a volume",
    default: "local",
    common: &["method", "path", "access", "owner", "mode", "read_only"],
    methods: &[
        Method { name: "local", about: "A directory on the host.", options: &[] },
        Method {
            name: "sub",
            about: "A directory inside another volume of the same role.",
            options: &[
                needed("of", Label, "The volume it lies in."),
                option("path", InnerPath, "Directory inside that volume; the volume's own name without it."),
            ],
        },
        Method {
            name: "bind",
            about: "A directory of yours, never deleted.",
            options: &[
                needed("from", Text, "The directory, relative to this file."),
                option("create", Truth, "Whether it is made at first where it is not there; an error without it."),
            ],
        },
        Method {
            name: "docker",
            about: "A named volume of the container engine.",
            options: &[
                option("name", Text, "The engine's name for it; made from role and volume without it."),
                option("driver", Text, "Volume driver; `local` without it."),
                option("options", TextMap, "Options of the driver."),
            ],
        },
        Method {
            name: "nfs",
            about: "A mount of an NFS export.",
            options: &[
                needed("server", Text, "Name or address of the server."),
                needed("export", Text, "The exported path."),
                option("options", Texts, "Mount options."),
            ],
        },
        Method {
            name: "aws-ec2-ebs",
            about: "An EBS volume, found by its tags or made, and attached where the role runs.",
            options: &[
                option("size", Size, "Size of a new volume."),
                option("type", Text, "Volume type, e.g. `gp3`."),
                option("iops", Count, "Provisioned operations a second."),
                option("throughput", Count, "Provisioned MiB a second."),
                option("encrypted", Truth, "Whether a new volume is encrypted."),
                option("kms_key", Text, "Key of an encrypted volume."),
                option("snapshot", Text, "Snapshot a new volume starts from."),
                option("filesystem", Text, "File system made on an empty device, e.g. `ext4`."),
                option("id", Text, "A volume that is there already."),
            ],
        },
    ],
};

pub(crate) const NETWORK: Kind = Kind {
    what: "a network",
    default: "bridge",
    common: &["method"],
    methods: &[
        Method {
            name: "bridge",
            about: "Provided ports are published on the host.",
            options: &[option(
                "ipv6",
                Truth,
                "Whether they are published over IPv6 too; users find that address in `SCS_REQUIRE_<NAME>_IPV6`.",
            )],
        },
        Method { name: "host", about: "The container shares the host's network.", options: &[] },
        Method {
            name: "macvlan",
            about: "An interface of its own on a device of the host.",
            options: &[
                needed("device", Text, "The host's device."),
                option("address", Text, "Address and prefix length, e.g. `192.0.2.9/24`."),
                option("gateway", Text, "Default gateway."),
                option("vlan", Count, "VLAN id."),
            ],
        },
        Method {
            name: "aws-ec2-eni",
            about: "An elastic network interface, moved into the container.",
            options: &[
                option("id", Text, "An interface that is there already."),
                option("subnet", Text, "Subnet of a new interface."),
                option("security_groups", Texts, "Security groups of a new interface."),
                option("address", Text, "Private address of a new interface."),
            ],
        },
    ],
};

impl Kind {
    pub(crate) fn method(&self, name: &str) -> Option<&'static Method> {
        self.methods.iter().find(|method| method.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.methods.iter().map(|method| method.name)
    }

    /// Reads the options of a method out of a map; what is neither an option nor a common key is an error.
    ///
    /// Of defaults nothing is required: each use may add what they leave out.
    pub(super) fn options(
        &self,
        method: &Method,
        node: &Node,
        defaults: bool,
        reader: &mut Reader,
    ) -> serde_json::Map<String, serde_json::Value> {
        let empty = Map::new();
        let map = node.map().unwrap_or(&empty);
        let mut options = serde_json::Map::new();
        for (key, entry) in map {
            if let Some(option) = method.options.iter().find(|option| option.name == key) {
                if option.kind.check(&entry.node, reader) {
                    options.insert(key.clone(), entry.node.to_json());
                }
            } else if !self.common.contains(&key.as_str()) && !key.starts_with("x-") {
                let known = || self.common.iter().copied().chain(method.options.iter().map(|option| option.name));
                let of_other =
                    || self.methods.iter().find(|other| other.options.iter().any(|option| option.name == key));
                let help = suggest(key, known())
                    .or_else(|| of_other().map(|other| format!("it is an option of the method `{}`", other.name)))
                    .unwrap_or_else(|| format!("known are {}", listed(known())));
                let message = format!("unknown key `{key}` in {} of method `{}`", self.what, method.name);
                reader.push(Diagnostic::error(&entry.key, message).help(help));
            }
        }
        for option in
            method.options.iter().filter(|option| !defaults && option.required && !map.contains_key(option.name))
        {
            reader.error(&node.span, format!("{} of method `{}` needs `{}`", self.what, method.name, option.name));
        }
        options
    }
}

impl OptionKind {
    fn check(self, node: &Node, reader: &mut Reader) -> bool {
        match self {
            Text => reader.filled(node).is_some(),
            Truth => reader.truth(node).is_some(),
            Count => reader.count(node, 1, 1 << 32).is_some(),
            Size => reader.size(node).is_some(),
            Label => reader.label(node).is_some(),
            InnerPath => reader.inner_path(node).is_some(),
            Texts => reader.texts(node, "this option").is_some(),
            TextMap => match node.map() {
                Some(map) => map.values().all(|entry| reader.written(&entry.node).is_some()),
                None => {
                    reader.error(&node.span, format!("this option is a map, not {}", node.described()));
                    false
                }
            },
        }
    }
}
