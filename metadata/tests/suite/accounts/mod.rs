//! What every store of accounts promises, as tests over [`AccountStore`](berth_metadata::AccountStore)
//! alone. [`accounts_suite!`] makes a module with one test for each of them.

pub mod account;
pub mod audit;
pub mod fixtures;
pub mod grants;
pub mod keys;
pub mod members;
pub mod policy;
pub mod races;
pub mod refresh;
pub mod tokens;

/// Instantiates the suite: `accounts_suite!(accounts_in_file, open_file)`.
#[macro_export]
macro_rules! accounts_suite {
    ($implementation:ident, $open:path) => {
        mod $implementation {
            use super::*;

            $crate::accounts_suite! {
                @tests $open;
                account:
                    an_account_is_read_back,
                    a_name_is_taken_once,
                    a_robot_needs_its_owner,
                    accounts_are_listed_by_kind_in_the_order_of_bytes,
                    robots_are_listed_by_owner,
                    a_change_leaves_what_it_does_not_name,
                    the_last_administrator_is_spared,
                    revoked_tokens_are_worth_nothing_from_then_on,
                    all_that_belongs_to_an_account_goes_with_it,
                    an_organisation_takes_its_teams_and_robots_along,
                    an_account_that_is_made_again_inherits_nothing,
                    secrets_are_not_told;
                members:
                    a_member_is_a_user_of_an_organisation,
                    a_role_is_changed_in_place,
                    members_are_listed_in_the_order_of_bytes,
                    a_team_is_of_an_organisation,
                    teams_are_listed_in_the_order_of_bytes,
                    who_comes_into_a_team_comes_into_the_organisation,
                    members_of_a_team_have_the_role_of_the_organisation,
                    who_leaves_an_organisation_leaves_its_teams;
                grants:
                    a_grant_is_read_back,
                    the_same_grant_keeps_its_number,
                    whom_a_grant_names_must_be_there,
                    grants_are_paged_by_number,
                    grants_are_found_by_subject_and_namespace,
                    grants_of_a_team_go_with_it,
                    a_number_is_never_used_again;
                policy:
                    all_is_told_as_it_stands,
                    each_change_makes_a_generation,
                    what_changes_no_decision_makes_none;
                tokens:
                    a_token_is_found_by_its_hash_with_its_owner,
                    a_name_is_taken_once_by_an_account,
                    an_organisation_has_no_tokens,
                    tokens_are_paged_by_number,
                    a_rotated_token_has_another_secret_alone,
                    a_token_goes_with_what_was_had_with_it,
                    only_its_account_may_touch_a_token,
                    the_last_use_is_noted;
                refresh:
                    a_token_is_used_time_and_again,
                    a_token_is_exchanged_for_the_next,
                    a_replay_takes_all_of_the_same_login_away,
                    a_replay_without_an_exchange_does_so_too,
                    other_logins_stay,
                    a_token_whose_time_is_over_is_unknown,
                    a_logout_takes_all_of_the_same_login_away,
                    a_token_goes_with_its_account,
                    what_belongs_to_nobody_any_longer_is_not_stored,
                    what_is_over_is_forgotten_a_few_at_a_time;
                keys:
                    keys_are_listed_the_newest_first,
                    one_of_two_makes_the_next_key,
                    the_newest_two_are_never_forgotten,
                    old_keys_are_forgotten;
                audit:
                    a_line_is_read_back,
                    lines_are_filtered,
                    lines_are_paged_the_newest_first,
                    a_page_behind_what_is_forgotten_is_empty,
                    old_lines_are_forgotten_a_few_at_a_time,
                    any_text_can_be_written;
                races:
                    one_of_many_makes_an_account,
                    nothing_is_left_of_an_account_that_goes_while_it_is_given_something,
                    one_of_many_exchanges_a_token,
                    no_token_survives_a_replay_beside_an_exchange,
                    one_of_many_adds_a_key,
                    generations_are_counted_one_by_one,
            }
        }
    };
    (@tests $open:path; $($subject:ident: $($test:ident),+ $(,)?);+ $(;)?) => {
        $(mod $subject {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let opened = $open().await;
                $crate::suite::accounts::$subject::$test(opened.accounts.clone()).await;
            })+
        })+
    };
}
