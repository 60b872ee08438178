//! What every engine must hold, told once and run for each of them, on every store.
//!
//! A scenario gets a [`Fixture`] over one set of data, with as many servers as the engine under test has. It sends each
//! request through the next of them, repeats what came back *unknown*, waits for events and never for time, and takes
//! them late, twice and with steps missing. So what holds for one server on memory is also what a cluster is held to.
//!
//! What is promised under everything else (the rules of `docs/protocol.md`), and which scenarios hold it:
//!
//! * *A session is attachable at any server*: `a_session_is_at_the_server_that_opened_it`. *It owns reservations*:
//!   `a_session_keeps_what_it_says`, `lost_ones_cost_an_attempt_until_there_are_none_left`; *the places of unnamed
//!   listeners*: `unnamed_listeners_go_with_their_session`; *a restart renews its lease*: `sessions_are_on_record`, and with
//!   it what it works on: `a_session_goes_on_after_a_restart`, and nothing else: `nothing_is_taken_for_what_is_gone`. The lease
//!   itself is the broker's.
//! * *Every mutation has an identity, and a repeat gets the same outcome*:
//!   `a_repeat_gets_the_same_outcome_and_changes_nothing`, `a_refusal_is_kept_too`; *stored with the object, in the same
//!   write*: `outcomes_outlive_a_restart`, `outcomes_outlive_their_objects`; *until it is acknowledged, and then refused*:
//!   `what_is_acknowledged_is_refused`; *as long as the session lives*: `a_closed_session_leaves_no_outcomes`. *Requests of one
//!   session on one object take effect in order*: `requests_of_one_session_take_effect_in_order`.
//! * *One object changes atomically*: `dictionaries_change_whole_or_not_at_all`, `a_refused_batch_changes_nothing`,
//!   `many_claim_and_one_gets_it`. *What reaches wider is an intent that any server resumes*:
//!   `children_are_orphaned_with_the_attempt`, `orphans_are_told_again_after_a_restart`, `instances_that_stop_take_no_calls`,
//!   `ends_are_told`; carrying it out is the broker's, and its tests over the hostile engine hold it to that.
//! * *Reads are linearizable*: `what_is_answered_is_seen_at_every_server`. *The latest state is told*: the events.
//! * *Nothing is visible before it is durable*: `visibility`, and `data_outlives_a_restart` for what was.

mod claims;
mod data;
mod events;
mod executions;
mod fixture;
mod full_disk;
mod identities;
mod stores;
mod trees;
mod visibility;

pub(crate) use self::fixture::{Data, Fixture};
pub(crate) use self::stores::{LeftOpen, OnStore, embedded};

/// Hands the list of scenarios to [`hold`].
macro_rules! scenarios {
    ($dollar:tt $($group:ident: $($scenario:ident)*;)*) => {
        /// Holds an engine to the contract: makes a test of each scenario, which runs once on data made from each seed.
        macro_rules! hold {
            ($dollar engine:ident, $dollar seeds:expr, $dollar data:expr) => {
                mod $dollar engine {
                    $(mod $group {
                        $(#[test]
                        fn $scenario() {
                            for seed in $dollar seeds {
                                let data = $dollar data(seed);
                                $crate::engine::contract::$group::$scenario(
                                    &mut $crate::engine::contract::Fixture::new(data),
                                );
                            }
                        })*
                    })*
                }
            };
        }
    };
}

scenarios! { $
    identities:
        a_repeat_gets_the_same_outcome_and_changes_nothing
        a_refusal_is_kept_too
        outcomes_outlive_a_restart
        outcomes_outlive_their_objects
        what_is_acknowledged_is_refused
        requests_of_one_session_take_effect_in_order
        a_closed_session_leaves_no_outcomes
        sessions_are_on_record
        a_session_is_at_the_server_that_opened_it;
    executions:
        equal_content_attaches_and_other_conflicts
        deadlines_are_stamped_once
        a_completion_after_the_deadline_is_too_late
        ends_leave_their_reason
        a_forgotten_one_is_cancelled_first
        an_ended_one_stays_as_it_is
        only_manual_ones_complete_without_a_reservation
        those_that_wait_for_a_listener_are_kept_back
        instances_that_stop_take_no_calls
        scans_count_and_page_in_order
        owners_are_asked_for_their_property;
    claims:
        one_holder_in_each_work_group
        many_claim_and_one_gets_it
        completion_is_fenced
        given_back_unharmed_costs_no_attempt
        lost_ones_cost_an_attempt_until_there_are_none_left
        attempts_are_counted_for_each_work_group
        a_session_goes_on_after_a_restart
        nothing_is_taken_for_what_is_gone
        a_session_keeps_what_it_says;
    trees:
        children_need_a_running_parent
        children_are_orphaned_with_the_attempt
        orphans_are_told_again_after_a_restart;
    data:
        streams_keep_items_in_order
        a_refused_batch_changes_nothing
        listeners_hold_their_place
        unnamed_listeners_go_with_their_session
        generators_are_fenced
        dictionaries_change_whole_or_not_at_all
        lists_are_kept_in_order
        data_outlives_a_restart
        what_is_answered_is_seen_at_every_server;
    events:
        the_last_state_is_told
        ends_are_told
        stream_changes_are_told;
}

hold!(embedded_on_memory, [0], |_| crate::engine::contract::OnStore::memory());
hold!(embedded_on_sled, [0], |_| crate::engine::contract::OnStore::sled());
hold!(embedded_on_fjall, [0], |_| crate::engine::contract::OnStore::fjall());
hold!(hostile, 0..20, crate::engine::hostile::Hostile::new);
