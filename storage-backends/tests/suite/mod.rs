//! What every blob store promises, as tests over [`berth_storage_backends::BlobStore`] alone.
//!
//! [`blob_store_suite!`] makes a module with one test for each promise. It is given a function that
//! opens an empty store, and `local` where an open blob is in our own hands. [`link_tree_suite!`] is for drivers that keep the link files of
//! `registry:2`, and [`durable_store_suite!`] for those whose contents outlive the process; it is
//! given a function that opens the store in a directory.

pub mod blobs;
pub mod durable;
pub mod files;
pub mod fixtures;
pub mod holds;
pub mod links;
pub mod uploads;

/// Instantiates the suite: `blob_store_suite!(filesystem, open_files)`.
#[macro_export]
macro_rules! blob_store_suite {
    ($driver:ident, $open:path) => {
        mod $driver {
            use super::*;

            $crate::blob_store_suite! {
                @tests $open;
                uploads:
                    an_upload_becomes_a_blob,
                    an_upload_without_bytes_becomes_the_empty_blob,
                    chunks_are_stored_in_order,
                    an_upload_goes_on_where_it_stood,
                    going_on_earlier_discards_nothing_before_the_first_change,
                    the_first_change_discards_what_is_behind,
                    an_upload_with_fewer_bytes_than_recorded_is_lost,
                    the_bytes_of_an_upload_can_be_read_back,
                    a_sealed_upload_can_be_read_and_then_finished,
                    an_aborted_upload_is_gone,
                    no_blob_comes_of_an_upload_that_was_aborted_under_its_writer,
                    uploads_that_stood_still_are_found;
                holds:
                    an_upload_has_one_writer_at_a_time,
                    letting_go_makes_room_for_the_next,
                    a_failed_attempt_holds_nothing,
                    of_many_writers_one_gets_hold;
                blobs:
                    what_is_not_there_is_not_found,
                    a_deleted_blob_is_gone_and_can_come_back,
                    finishing_replaces_damaged_bytes,
                    the_same_blob_can_be_finished_by_many_at_once,
                    digests_of_two_algorithms_name_two_blobs,
                    a_large_blob_comes_back_whole,
                    a_store_that_works_passes_its_check,
                    a_blob_is_no_orphan_before_its_location_could_be_recorded;
                files:
                    files_are_written_listed_and_deleted,
                    of_two_new_files_of_one_name_one_is_written,
                    a_file_without_bytes_is_read,
                    a_file_that_is_too_large_is_refused,
                    content_that_breaks_off_leaves_the_file_as_it_was,
                    a_blob_in_the_tree_of_another_registry_is_read_where_it_lies,
                    damaged_bytes_give_way_to_good_ones;
            }
        }
    };
    ($driver:ident, $open:path, local) => {
        mod $driver {
            use super::*;

            $crate::blob_store_suite!(promises, $open);
            $crate::blob_store_suite! {
                @tests $open;
                blobs:
                    an_open_blob_outlives_its_deletion,
                    an_open_blob_outlives_its_replacement;
                files:
                    of_two_writers_at_the_same_time_one_writes;
            }
        }
    };
    (@tests $open:path; $($subject:ident: $($test:ident),+ $(,)?);+ $(;)?) => {
        $(mod $subject {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let opened = $open();
                $crate::suite::$subject::$test(opened.store.clone()).await;
            })+
        })+
    };
}

/// Instantiates the suite of link trees: `link_tree_suite!(filesystem_links, open_files)`.
#[macro_export]
macro_rules! link_tree_suite {
    ($driver:ident, $open:path) => {
        $crate::link_tree_suite! {
            @tests $driver $open;
            the_tree_is_that_of_registry_2,
            applying_changes_again_changes_nothing,
            changes_are_applied_in_their_order,
            a_moved_tag_keeps_its_history,
            deletions_leave_no_empty_folders,
            repositories_inside_of_others_are_left_alone,
            manifests_are_kept_among_the_blobs_and_not_written_over,
        }
    };
    (@tests $driver:ident $open:path; $($test:ident),+ $(,)?) => {
        mod $driver {
            use super::*;

            $(#[tokio::test]
            async fn $test() {
                $crate::suite::links::$test($open()).await;
            })+
        }
    };
}

/// Instantiates the suite of durable stores: `durable_store_suite!(filesystem_reopened, files_in)`.
#[macro_export]
macro_rules! durable_store_suite {
    ($driver:ident, $open:path) => {
        mod $driver {
            use super::*;

            #[tokio::test]
            async fn uploads_go_on_in_the_next_process() {
                $crate::suite::durable::uploads_go_on_in_the_next_process($open).await;
            }

            #[tokio::test]
            async fn blobs_are_there_for_the_next_process() {
                $crate::suite::durable::blobs_are_there_for_the_next_process($open).await;
            }
        }
    };
}
