//! An assertion as it is kept, and a change of trust that assertions are about.

use std::{fmt, sync::Arc};

use countersign_types::{
    UnixSeconds,
    assertion::{AssertedCode, Assertion, AssertionObject, Expectation},
    bundle::OrganizationBundle,
    certificate::Scope,
    id::AssertionId,
    observation::Der,
};
use countersign_verify::presented::Presented;

/// An assertion to create. The HTTP layer has checked its chain and its texts.
#[derive(Debug, Clone)]
pub struct NewAssertion {
    /// Its name.
    pub name: String,
    /// Why it is made.
    pub reason: Option<String>,
    /// The scope that it is about.
    pub scope: Scope,
    /// What must happen.
    pub expect: Expectation,
    /// The code that the chain must be refused with; `None` for any.
    pub code: Option<AssertedCode>,
    /// What the client presents.
    pub presented: Presented,
}

/// An assertion as it is kept.
#[derive(Debug, Clone)]
pub struct KeptAssertion {
    /// Its id.
    pub id: AssertionId,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// What it says.
    pub says: NewAssertion,
}

impl KeptAssertion {
    /// The assertion as the API shows it.
    #[must_use]
    pub fn into_assertion(self) -> Assertion {
        let says = self.says;
        let leaf = says.presented.leaf().into_iter();
        let chain = leaf.chain(says.presented.intermediates());
        Assertion {
            object: AssertionObject::Assertion.into(),
            id: self.id,
            name: says.name,
            reason: says.reason,
            project_id: says.scope.project().cloned(),
            expect: says.expect.into(),
            code: says.code.map(Into::into),
            chain: chain.map(|der| Der(der.to_vec())).collect(),
            created_at: self.created_at,
        }
    }
}

/// A change of trust that must be judged by the assertions before it is made.
pub struct UnjudgedChange {
    /// What is in force before, as far as assertions are about it.
    pub before: Arc<OrganizationBundle>,
    /// What would be in force after.
    pub after: Arc<OrganizationBundle>,
}

impl fmt::Debug for UnjudgedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnjudgedChange")
    }
}

/// A change of trust that was judged and may be made.
#[derive(Clone)]
pub struct JudgedChange {
    /// What was judged: the change is made from this state only.
    pub before: Arc<OrganizationBundle>,
    /// And to this one only.
    pub after: Arc<OrganizationBundle>,
    /// The assertions that it breaks, by id and name, and that it is made in spite of.
    pub overridden: Vec<(AssertionId, String)>,
}
