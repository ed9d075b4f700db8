//! What every metadata store promises, as tests over [`MetadataStore`] alone.
//!
//! [`metadata_suite!`] makes a module with one test for each of them. It is given an `async`
//! function that opens an empty store with its outbox on.

pub mod accounts;
pub mod blobs;
pub mod collection;
pub mod concurrency;
pub mod deletion;
pub mod events;
pub mod fixtures;
pub mod lifecycle;
pub mod listings;
pub mod manifests;
pub mod mirrored;
pub mod model;
pub mod outbox;
pub mod referrers;
pub mod restore;
pub mod retention;
pub mod untagged;
pub mod upkeep;
pub mod uploads;
pub mod usage;

/// Instantiates the suite: `metadata_suite!(file, open_file)`.
#[macro_export]
macro_rules! metadata_suite {
    ($implementation:ident, $open:path) => {
        mod $implementation {
            use super::*;

            $crate::metadata_suite! {
                @tests $open;
                blobs:
                    a_finished_upload_is_linked_in_its_repository_alone,
                    a_blob_without_a_session_is_linked,
                    beginnings_of_locations_that_no_blob_has_are_told,
                    finishing_a_cancelled_session_changes_nothing,
                    a_session_is_finished_in_its_own_repository_alone,
                    a_push_again_corrects_size_and_location_everywhere,
                    a_mount_links_what_the_source_links,
                    a_mount_from_a_repository_without_the_link_is_refused,
                    a_mount_from_anywhere_needs_some_link,
                    an_unlinked_blob_is_gone_from_its_repository_alone;
                collection:
                    a_link_goes_when_nothing_needs_it_and_its_lease_is_over,
                    a_link_that_a_manifest_needs_stays_until_the_manifest_goes,
                    what_a_deleted_manifest_needed_stays_as_long_as_was_said,
                    a_promise_keeps_a_link,
                    a_promise_outlives_the_manifest,
                    due_links_are_told_and_left,
                    garbage_is_removed_after_the_grace_period_alone,
                    garbage_is_taken_once,
                    garbage_that_nobody_finished_with_is_taken_again,
                    garbage_that_was_not_removed_is_taken_after_a_pause,
                    a_push_takes_its_bytes_out_of_the_garbage,
                    bytes_of_a_place_that_a_push_left_are_garbage,
                    the_file_of_a_manifest_is_garbage_with_the_last_one,
                    the_file_of_a_manifest_that_is_pushed_again_stays,
                    a_file_that_was_written_too_late_is_garbage,
                    a_collector_that_has_died_over_a_file_is_not_waited_for,
                    a_push_whose_session_is_gone_leaves_the_garbage,
                    a_push_to_another_place_leaves_the_garbage,
                    a_push_waits_for_the_end_of_a_removal_and_looks;
                deletion:
                    a_manifest_that_an_index_names_stays,
                    what_is_attached_goes_along,
                    what_is_attached_to_what_is_attached_goes_along,
                    what_something_else_stands_for_stays,
                    what_tags_attach_goes_along,
                    many_referrers_go_in_batches,
                    a_subject_that_is_back_keeps_what_is_left,
                    a_deletion_that_was_left_is_found,
                    a_deleted_repository_does_not_exist,
                    a_repository_is_pushed_to_while_it_goes,
                    a_repository_that_does_not_exist_is_not_deleted,
                    the_tree_and_the_listeners_are_told,
                    the_links_get_the_time_to_have_it_back;
                restore:
                    a_deleted_tag_is_had_back,
                    a_deleted_manifest_comes_back_with_all_it_was,
                    what_went_along_comes_back,
                    a_repository_comes_back,
                    a_tag_that_was_set_anew_is_left_alone,
                    what_needs_a_blob_that_is_gone_is_refused,
                    an_index_comes_back_after_what_it_names,
                    a_manifest_that_was_pushed_again_gets_its_tags,
                    the_tags_of_a_manifest_that_is_gone_are_refused,
                    what_is_gone_for_good_cannot_be_had_back,
                    many_tags_come_back_in_pages,
                    the_newest_deletion_is_found,
                    deletions_are_listed_the_newest_first,
                    the_tree_and_the_listeners_are_told_of_what_is_back;
                untagged:
                    what_nothing_stands_for_is_found_and_deleted,
                    young_ones_stay,
                    tags_of_a_subject_that_is_not_there_do_not_count,
                    each_can_be_had_back_and_is_told;
                usage:
                    a_blob_counts_once_for_a_prefix,
                    what_is_there_before_it_is_counted_counts,
                    a_prefix_that_is_not_counted_is_left_out,
                    whether_a_prefix_has_a_blob_is_told,
                    manifests_and_tags_are_counted,
                    what_is_collected_no_longer_counts,
                    numbers_stay_true_under_concurrent_changes;
                uploads:
                    an_opened_session_is_read_back,
                    a_session_moves_only_from_where_it_stands,
                    a_cancelled_session_is_gone,
                    stale_sessions_are_listed_by_age,
                    stale_sessions_are_taken_once,
                    a_held_session_stands_where_it_is_told;
                manifests:
                    a_manifest_is_read_by_tag_and_by_digest,
                    missing_references_are_all_named_and_nothing_is_written,
                    references_that_are_not_required_may_be_missing,
                    a_manifest_of_another_repository_does_not_count,
                    a_thousand_references_are_checked,
                    a_moved_tag_points_to_the_new_manifest,
                    a_deleted_manifest_takes_its_tags_along,
                    a_deleted_tag_leaves_its_manifest,
                    a_manifest_pushed_again_takes_the_new_media_type,
                    sha512_manifests_are_stored_beside_sha256;
                mirrored:
                    a_tag_that_came_from_an_upstream_is_known_by_what_it_pointed_to,
                    a_tag_that_is_pushed_over_one_from_upstream_points_elsewhere,
                    a_look_at_a_tag_counts_for_what_it_saw_alone,
                    whether_a_blob_is_anywhere_is_known,
                    what_was_pulled_least_lately_is_evicted_first_with_its_tags,
                    what_was_pushed_is_not_evicted,
                    the_blobs_of_what_is_evicted_go_with_the_next_review,
                    who_holds_a_fetch_holds_it_again;
                listings:
                    repositories_are_ordered_by_bytes,
                    tags_are_ordered_by_bytes,
                    paging_ends_with_the_last_entry,
                    a_page_may_begin_after_a_name_that_does_not_exist,
                    tags_of_an_unknown_repository_are_none,
                    a_repository_exists_from_its_first_link_on,
                    a_repository_without_links_and_manifests_does_not_exist,
                    an_upload_session_makes_no_repository;
                referrers:
                    referrers_are_listed_by_digest_and_paged,
                    referrers_are_filtered_before_they_are_paged,
                    a_subject_that_is_not_here_has_referrers,
                    a_deleted_referrer_is_listed_no_longer,
                    referrers_of_another_repository_are_not_listed;
                outbox:
                    changes_come_in_the_order_of_their_commits,
                    what_changes_nothing_leaves_no_entry,
                    entries_stay_until_they_are_done,
                    a_manifest_deleted_since_is_left_out,
                    entries_tell_what_stands_by_now,
                    a_blob_that_has_moved_is_told_again,
                    a_listing_is_not_cut_short_by_entries_left_out,
                    waiting_ends_when_an_entry_comes;
                events:
                    each_change_records_its_events,
                    tags_that_go_with_a_manifest_have_events_of_their_own,
                    what_is_refused_records_nothing,
                    each_endpoint_is_told_on_its_own,
                    places_of_events_are_never_used_again,
                    events_that_waited_too_long_are_dropped,
                    waiting_ends_when_an_event_comes;
                retention:
                    an_immutable_tag_is_pushed_once,
                    one_of_many_first_pushes_of_an_immutable_tag_wins,
                    a_manifest_with_a_protected_tag_stays,
                    tags_are_told_with_their_times,
                    a_pull_by_any_name_counts_for_all_tags_of_a_manifest,
                    tags_that_no_policy_keeps_are_deleted,
                    a_tag_that_was_pushed_or_pulled_since_stays,
                    each_expired_tag_and_manifest_has_its_event,
                    manifests_that_nothing_stands_for_expire,
                    a_manifest_that_is_being_tagged_does_not_expire;
                concurrency:
                    pushes_of_many_clients_all_arrive,
                    reads_see_what_was_acknowledged_before,
                    manifests_asked_for_at_the_same_time_are_each_answered_with_their_own,
                    one_of_many_finishers_wins,
                    one_of_many_chunks_advances,
                    a_dropped_request_leaves_no_half_state;
                lifecycle:
                    a_closed_store_says_so,
                    closing_twice_is_harmless,
                    what_was_queued_before_the_close_is_committed,
                    the_place_of_the_blobs_is_recorded_once,
                    a_job_is_kept_and_left,
                    the_time_goes_on;
                model:
                    random_operations_agree_with_a_simple_model,
            }
        }
    };
    (@tests $open:path; $($subject:ident: $($test:ident),+ $(,)?);+ $(;)?) => {
        $(mod $subject {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let opened = $open().await;
                $crate::suite::$subject::$test(opened.store.clone()).await;
            })+
        })+
    };
}
