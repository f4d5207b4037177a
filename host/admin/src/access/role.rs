//! Roles, and what a grant of one is.

use std::fmt;

use schemars::JsonSchema;
use sealwire_core::units::UnitPath;
use serde::{Deserialize, Serialize};

/// What somebody is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything, administrators and tokens too.
    Owner,
    /// Settings, lists, routes.
    Settings,
    /// Policies and their components.
    Policies,
    /// The queue.
    Queue,
    /// Looking at everything, changing nothing.
    Auditor,
}

impl Role {
    /// Every one.
    pub const ALL: [Role; 5] = [Role::Owner, Role::Settings, Role::Policies, Role::Queue, Role::Auditor];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Settings => "settings",
            Role::Policies => "policies",
            Role::Queue => "queue",
            Role::Auditor => "auditor",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| "is no role; there are owner, settings, policies, queue and auditor".to_owned())
    }
}

/// A role in a unit and everything below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What for.
    pub role: Role,
    /// Where; absent: the root, which is everywhere.
    #[serde(default = "UnitPath::root")]
    pub unit: UnitPath,
}

/// `queue in root/sales`.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.role.as_str(), self.unit)
    }
}
