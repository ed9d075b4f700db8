//! What every store promises to those who keep it true to the storage, as tests over
//! [`UpkeepStore`](berth_metadata::UpkeepStore). [`upkeep_suite!`] makes a module with one test for each.

pub mod adoption;
pub mod damage;
pub mod tree;

/// Instantiates the suite: `upkeep_suite!(upkeep_in_file, open_file)`.
#[macro_export]
macro_rules! upkeep_suite {
    ($implementation:ident, $open:path) => {
        mod $implementation {
            use super::*;

            $crate::upkeep_suite! {
                @tests $open;
                adoption:
                    a_blob_is_adopted_with_its_first_link,
                    a_link_without_its_blob_is_told,
                    what_is_adopted_again_stays_as_it_is,
                    bytes_under_removal_are_left_alone,
                    a_link_that_the_tree_lacks_is_recorded_for_it,
                    manifests_come_with_their_references_and_times,
                    sizes_that_do_not_fit_are_told,
                    tags_wait_for_their_manifests,
                    a_tag_that_is_newer_here_stays,
                    a_tag_that_was_moved_there_moves,
                    a_tag_that_was_deleted_here_stays_deleted,
                    references_without_a_link_are_found,
                    what_nothing_names_is_counted,
                    a_pass_that_broke_off_is_forgotten,
                    what_a_mirror_has_kept_is_known_to_be_fetched;
                damage:
                    blobs_are_listed_in_pages,
                    a_damaged_blob_is_told_until_it_is_pushed_again,
                    a_blob_that_was_replaced_is_not_quarantined,
                    a_damaged_blob_that_goes_is_forgotten,
                    the_position_is_kept;
                tree:
                    all_entries_are_told_once_and_in_order,
            }
        }
    };
    (@tests $open:path; $($subject:ident: $($test:ident),+ $(,)?);+ $(;)?) => {
        $(mod $subject {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let opened = $open().await;
                $crate::suite::upkeep::$subject::$test(opened.store.clone(), opened.upkeep.clone()).await;
            })+
        })+
    };
}
