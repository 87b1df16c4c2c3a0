//! How much work something may be at most, before the leaf is known.

use super::limits::{
    CONTAINS_BYTE, ELEMENT, MAX_NAMES, MAX_NAMES_BYTES, MAX_NESTED_COMPREHENSIONS, MAX_TEXT_BYTES,
    TERM,
};

/// An upper bound: so much, and so much more for each byte of text of the name that the
/// comprehension at each level looks at. Kept apart because all names together are much shorter
/// than the longest name times their number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bound {
    fixed: u64,
    per_byte: [u64; MAX_NESTED_COMPREHENSIONS],
}

impl Bound {
    pub(super) const TERM: Self = Self::fixed(TERM);
    /// The length of an attribute, or of a name picked by an index.
    pub(super) const ANY_TEXT: Self = Self::fixed(MAX_TEXT_BYTES as u64);

    pub(super) const fn fixed(fixed: u64) -> Self {
        Self {
            fixed,
            per_byte: [0; MAX_NESTED_COMPREHENSIONS],
        }
    }

    /// The length of the name that the comprehension in this slot looks at.
    pub(super) fn name_in(slot: usize) -> Self {
        let mut bound = Self::default();
        if let Some(per_byte) = bound.per_byte.get_mut(slot) {
            *per_byte = 1;
        }
        bound
    }

    fn combine(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let [first, second] = self.per_byte;
        let [other_first, other_second] = other.per_byte;
        Self {
            fixed: combine(self.fixed, other.fixed),
            per_byte: [combine(first, other_first), combine(second, other_second)],
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        self.combine(other, u64::saturating_add)
    }

    /// At least as much as either.
    pub(super) fn or(self, other: Self) -> Self {
        self.combine(other, u64::max)
    }

    pub(super) fn times(self, factor: u64) -> Self {
        self.combine(self, |bound, _| bound.saturating_mul(factor))
    }

    /// At least as much as the smaller: what comparing two texts of such lengths reads.
    pub(super) fn shorter(self, other: Self) -> Self {
        let constant = |bound: Self| bound.per_byte == [0; MAX_NESTED_COMPREHENSIONS];
        match (constant(self), constant(other)) {
            (true, true) => Self::fixed(self.fixed.min(other.fixed)),
            (true, false) => self,
            _ => other,
        }
    }

    /// What looking for a text in another costs.
    pub(super) fn contains(self, needle: Self) -> Self {
        self.plus(needle).times(CONTAINS_BYTE)
    }

    /// The body's bound, once for each subject alternative name, bound to the variable in this slot.
    pub(super) fn for_each_name(self, slot: usize) -> Self {
        let mut each = self;
        let own = each.per_byte.get_mut(slot).map_or(0, std::mem::take);
        let all = own.saturating_mul(MAX_NAMES_BYTES as u64);
        each.plus(Self::fixed(ELEMENT))
            .times(MAX_NAMES as u64)
            .plus(Self::fixed(all))
    }

    /// The body's bound, once for each of so many elements with texts of such a length.
    pub(super) fn for_each(self, items: u64, text: Self) -> Self {
        self.plus(text).plus(Self::fixed(ELEMENT)).times(items)
    }

    /// The bound outside of every comprehension.
    pub(super) fn total(self) -> u64 {
        self.per_byte.iter().fold(self.fixed, |total, per_byte| {
            total.saturating_add(per_byte.saturating_mul(MAX_TEXT_BYTES as u64))
        })
    }
}
