//! Seeds that go well, faults that are found, and runs that can be repeated.

#![expect(clippy::panic, reason = "what fails, fails the test")]

use countersign_simulation::{Fault, Outcome, run};

/// How many seeds go well in every run of the tests; `cargo xtask simulate` runs as many as there is time for.
const SEEDS: u64 = 40;
/// Within how many seeds a planted fault is found.
const PATIENCE: u64 = 300;

#[track_caller]
fn assert_well(outcome: &Outcome) {
    if let Some(wrong) = &outcome.wrong {
        let seed = outcome.seed;
        panic!(
            "seed {seed}: {wrong}; `cargo xtask simulate --seed {seed}` shows all that happened"
        );
    }
}

#[test]
fn seeds_go_well() {
    for seed in 0..SEEDS {
        assert_well(&run(seed, None, false));
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in [3, 4] {
        let first = run(seed, None, true);
        let second = run(seed, None, true);
        let differs = first.trace.iter().zip(&second.trace).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first, second);
    }
}

/// The finding of the first seed that finds the fault.
#[track_caller]
fn finding(fault: Fault) -> String {
    let mut outcomes = (0..PATIENCE).map(|seed| run(seed, Some(fault), false));
    let found = outcomes.find_map(|outcome| outcome.wrong);
    found.unwrap_or_else(|| panic!("{fault:?} is not found in {PATIENCE} seeds"))
}

macro_rules! found {
    ($($name:ident: $fault:ident,)*) => {
        $(
            #[test]
            fn $name() {
                finding(Fault::$fault);
            }
        )*
    };
}

found! {
    a_control_plane_that_answers_by_revision_alone_is_found: RevisionOnly,
    a_signal_only_for_greater_revisions_is_found: SignalOnGreater,
    an_answer_without_an_organization_is_found: ForgottenOrganization,
    an_answer_without_denials_is_found: ForgottenDenials,
    an_answer_taken_for_a_report_is_found: AnswerIsReport,
    a_list_without_missing_gateways_is_found: NoMissingGateways,
    a_gateway_that_opens_no_new_connection_is_found: OneConnection,
    patience_that_doubles_without_a_second_pull_is_found: DoublingPatience,
    a_pull_that_is_given_up_too_early_is_found: NothingKept,
    a_lost_answer_taken_for_applied_is_found: LostIsApplied,
    an_answer_applied_too_late_is_found: LateAnswer,
    a_report_before_every_thread_enforces_it_is_found: EarlyReport,
    a_request_that_was_not_registered_is_found: Unregistered,
    a_failed_write_taken_for_done_is_found: FailedIsDurable,
    an_old_file_that_stays_is_found: OldFileStays,
    a_report_of_what_is_still_written_is_found: ReportedUnwritten,
    contact_written_before_what_it_vouches_for_is_found: ContactFirst,
    a_start_that_takes_its_file_for_fresh_is_found: FreshAtStart,
    contact_in_the_future_taken_for_now_is_found: FutureIsNow,
    a_comparison_that_takes_what_is_there_for_right_is_found: BlindComparison,
    a_comparison_with_what_was_before_is_found: OldComparison,
    an_organization_without_limits_is_found: NoLimits,
    verdicts_that_are_not_charged_are_found: FreeVerdicts,
    places_that_are_not_given_back_are_found: KeptPlaces,
}
