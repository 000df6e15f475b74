//! Every row of csms.md 8.1 to 8.4, what was decided, and the test that stands for it; and that the table
//! of 8.5 leaves out no operation. A row that is about the wire alone says so.

use std::{fs, path::Path};

use super::lifecycle;

/// Where a row is proved.
enum Proof {
    /// A test of a file beside this one.
    Test(&'static str, &'static str),
    /// It is about requests and answers over HTTP, which the library has none of.
    Wire,
    /// It is about telling a database its new password, which a rotation does not do yet.
    Database,
}

use Proof::{Database, Test, Wire};

#[rustfmt::skip]
const ROWS: &[(usize, &str, Proof)] = &[
    // 8.1: versions and labels.
    (1, "a 21st version drops the oldest without a label", Test("versions", "the_21st_version_drops_the_oldest_without_a_label")),
    (2, "versions without a label stay until then", Test("versions", "versions_without_a_label_stay_and_can_be_read_and_listed")),
    (3, "SYSCURRENT named for a new version drags SYSPREVIOUS", Test("versions", "the_labels_of_a_new_version_go_where_they_are_told")),
    (4, "SYSCURRENT moved by hand drags it too, and not at all if it is there", Test("stages", "labels_move_by_the_rules")),
    (5, "labels without SYSCURRENT leave that where it is", Test("versions", "the_labels_of_a_new_version_go_where_they_are_told")),
    (6, "no labels are the same as none named", Test("versions", "the_labels_of_a_new_version_go_where_they_are_told")),
    (7, "a label twice in a request is refused", Test("versions", "a_list_of_labels_that_breaks_a_rule_is_refused_and_nothing_written")),
    (8, "SYSPREVIOUS may be moved by hand", Test("stages", "labels_move_by_the_rules")),
    (9, "both built-in labels may meet on one version", Test("stages", "labels_move_by_the_rules")),
    (10, "built-in labels count among the 12", Test("stages", "a_secret_has_at_most_12_labels_the_built_in_ones_included")),
    (11, "too many labels in a request, and in all", Test("versions", "a_list_of_labels_that_breaks_a_rule_is_refused_and_nothing_written")),
    (12, "users may make SYSPENDING and delete it", Test("stages", "labels_of_users_can_be_deleted_and_the_built_in_ones_cannot")),
    (13, "a label on a missing version", Test("stages", "a_label_is_not_put_on_a_version_that_is_not_there")),
    (14, "a missing label is shown or deleted", Test("versions", "a_missing_version_or_label_is_not_found")),
    (15, "latest is what SYSCURRENT is on", Test("versions", "latest_is_the_current_version_and_not_the_newest")),
    (16, "latest may be given an expiry", Test("versions", "latest_is_the_current_version_and_not_the_newest")),
    (17, "versions without a label are read and listed", Test("versions", "versions_without_a_label_stay_and_can_be_read_and_listed")),
    (18, "an expired version is still read", Test("versions", "an_expired_version_can_be_read_and_its_expiry_set_anew_or_cleared")),
    (19, "an expiry in the past is refused", Test("versions", "an_expiry_is_taken_cut_cleared_or_refused")),
    (20, "an expiry of 0 clears it", Test("versions", "an_expiry_is_taken_cut_cleared_or_refused")),
    (21, "the same value again makes another version", Test("versions", "the_same_value_stored_again_makes_another_version")),
    (22, "an empty value is a value", Test("versions", "values_are_measured_as_text_or_as_base64")),
    (23, "text is measured in bytes, binary as base64", Test("versions", "values_are_measured_as_text_or_as_base64")),
    (24, "base64 that is none", Wire),
    // 8.2: secrets and their lifecycle.
    (25, "a name that is taken", Test("secrets", "an_existing_name_is_refused_and_its_secret_left_as_it_is")),
    (26, "the name of a secret that is to be deleted is taken", Test("lifecycle", "a_secret_goes_at_the_moment_and_not_before")),
    (27, "a deleted name is free at once and starts at v1", Test("secrets", "a_deleted_name_is_free_at_once_and_starts_anew")),
    (28, "codes of what is not there", Test("codes", "calls_answer_with_the_codes_of_their_rows")),
    (29, "values of a DISABLED or FROZEN secret are refused", Test("lifecycle", "what_each_state_allows_is_the_table_of_csms_8_5")),
    (30, "values of a secret that is to be deleted are refused", Test("lifecycle", "what_each_state_allows_is_the_table_of_csms_8_5")),
    (31, "a secret that is to be deleted is shown and listed", Test("lifecycle", "a_secret_goes_at_the_moment_and_not_before")),
    (32, "a secret that is to be deleted may be deleted at once", Test("lifecycle", "what_each_state_allows_is_the_table_of_csms_8_5")),
    (33, "a DISABLED secret may be scheduled, and comes back as such", Test("lifecycle", "cancelling_a_deletion_gives_back_the_state_before")),
    (34, "deleting a missing secret is an error", Test("codes", "calls_answer_with_the_codes_of_their_rows")),
    (35, "due deletions happen at the first access or by a sweep", Test("lifecycle", "any_first_access_after_the_time_finds_the_secret_gone")),
    (36, "only who has the permission sets a state", Test("access", "with_the_permission_of_its_name_and_what_that_takes_each_call_goes_through")),
    (37, "an update that changes nothing writes nothing", Test("secrets", "an_update_that_changes_nothing_writes_nothing")),
    (38, "a key that is unknown", Test("kms", "a_key_that_is_unknown_or_disabled_is_refused_and_nothing_changes")),
    (39, "a new key leaves old versions under theirs", Test("kms", "a_new_key_seals_new_versions_and_old_ones_stay_under_theirs")),
    (40, "a new version moves the time of the last change", Test("secrets", "the_time_of_the_last_change_moves_with_metadata_labels_and_versions")),
    (41, "lists go by the bytes of names", Test("secrets", "secrets_are_listed_by_their_names_bytes")),
    (42, "a marker need not be there", Test("secrets", "a_page_begins_after_its_marker_and_keeps_to_its_prefix")),
    (43, "a limit of 0 or of more than 1,000", Test("secrets", "a_page_has_1_to_1000_secrets_and_50_by_default")),
    (44, "a batch read gives what can be read", Test("batch", "row_44_readable_values_are_given_in_order_and_the_others_told")),
    (45, "an import is made one by one", Test("batch", "row_45_an_import_is_made_one_by_one_and_counted")),
    (46, "a restore overwrites nothing", Test("restore", "row_46_a_secret_of_that_name_is_never_overwritten")),
    (47, "another store's backup takes its key", Test("restore", "row_47_another_store_needs_the_key_of_the_backup")),
    (48, "what a backup holds", Test("restore", "row_48_everything_but_the_id_comes_back_and_numbers_are_not_used_again")),
    (49, "no backup of what may not be read", Test("restore", "row_49_values_are_exported_only_while_they_may_be_read")),
    (50, "unknown members of a request", Wire),
    (51, "members of another type", Wire),
    (52, "changes of a secret are one behind the other, and are read by whoever made them", Test("rotation", "many_threads_rotate_one_secret_and_each_call_makes_its_own_version")),
    // 8.3: rotation.
    (53, "a COMMON secret is not rotated", Test("rotation_policy", "rows_53_and_54_common_secrets_are_not_rotated")),
    (54, "nor automatically", Test("rotation_policy", "rows_53_and_54_common_secrets_are_not_rotated")),
    (55, "automatic rotation takes a period", Test("rotation_policy", "row_55_automatic_rotation_takes_a_period")),
    (56, "grammar and bounds of a period", Test("rotation_policy", "rows_56_and_57_the_first_time_is_a_period_after_it_was_switched_on")),
    (57, "the first time is a period after switching on", Test("rotation_policy", "rows_56_and_57_the_first_time_is_a_period_after_it_was_switched_on")),
    (58, "another period counts from the last rotation", Test("rotation_policy", "rows_58_to_60_a_schedule_follows_its_rules_and_the_last_rotation")),
    (59, "switched off, the period is kept and nothing is next", Test("rotation_policy", "rows_58_to_60_a_schedule_follows_its_rules_and_the_last_rotation")),
    (60, "a rotation by hand counts", Test("rotation_policy", "rows_58_to_60_a_schedule_follows_its_rules_and_the_last_rotation")),
    (61, "no rotation while a task is open", Test("tasks", "rows_61_to_64_an_attempt_that_fails_opens_a_task_that_is_tried_again")),
    (62, "a failure leaves the labels as they were", Test("tasks", "rows_61_to_64_an_attempt_that_fails_opens_a_task_that_is_tried_again")),
    (63, "three attempts, then FAILED", Test("tasks", "row_63_after_three_attempts_it_has_failed_and_is_due_a_period_later")),
    (64, "an open task is RUNNING", Test("tasks", "rows_61_to_64_an_attempt_that_fails_opens_a_task_that_is_tried_again")),
    (65, "tasks are told of for three months", Test("tasks", "row_65_tasks_are_told_of_for_three_months")),
    (66, "a password has 32 signs of all classes", Test("passwords", "row_66_the_default_is_32_signs_and_no_two_are_alike")),
    (67, "a secret that is not enabled is not rotated", Test("tasks", "row_67_a_secret_that_is_not_enabled_is_not_rotated")),
    (68, "the four steps of a rotation function", Database),
    (69, "a rotation is told as such and not as a new version", Test("notifications", "each_change_that_an_event_fires_for_is_told_once_and_recorded")),
    // 8.4: events, tags, access.
    (70, "a deletion is told when it happens", Test("notifications", "each_change_that_an_event_fires_for_is_told_once_and_recorded")),
    (71, "a subscription to a missing event", Test("events", "what_breaks_a_rule_is_refused_and_nothing_is_written")),
    (72, "one to a disabled event is allowed, and nothing fires", Test("notifications", "what_is_not_subscribed_disabled_or_of_another_type_is_not_told_later_either")),
    (73, "an event in use is not deleted", Test("events", "what_breaks_a_rule_is_refused_and_nothing_is_written")),
    (74, "an event's name that is taken; a 31st event", Test("events", "there_are_never_more_than_30_however_many_create_them")),
    (75, "an expiry is not moved into the past", Test("versions", "an_expiry_is_taken_cut_cleared_or_refused")),
    (76, "who subscribes after an expiry is told by the next sweep", Test("version_states", "what_is_told_depends_on_the_settings_the_state_and_what_came_first")),
    (77, "a tag key again replaces its value", Test("tags", "tags_are_added_replaced_and_removed")),
    (78, "more than 20 tags in a request change nothing", Test("tags", "tags_are_added_replaced_and_removed")),
    (79, "a missing tag: an error for one, none for many", Test("tags", "tags_are_added_replaced_and_removed")),
    (80, "a tag with another value than named stays", Test("tags", "tags_are_added_replaced_and_removed")),
    (81, "a part of a name, letters as they are", Test("tags", "secrets_are_found_by_tags_and_parts_of_names")),
    (82, "a count knows no page", Test("tags", "secrets_are_found_by_tags_and_parts_of_names")),
    (83, "no tags at all are an empty list", Test("tags", "tags_of_the_store_come_and_go_with_those_of_its_secrets")),
    (84, "tags of a secret that is to be deleted are read only", Test("tags", "tags_of_the_store_come_and_go_with_those_of_its_secrets")),
    (85, "no header that tells who calls", Wire),
    (86, "a permission that lacks", Test("codes", "calls_answer_with_the_codes_of_their_rows")),
    (87, "unknown paths", Wire),
    (88, "an id for each request", Wire),
    (89, "the language of messages", Wire),
    (90, "the rate of requests", Wire),
];

/// The operations of 8.5 as the table names them.
const OPERATIONS: [&str; 21] = [
    "ShowSecret",
    "ListSecretVersions",
    "ShowSecretStage",
    "ListSecretTags",
    "ShowSecretVersion, current",
    "BatchGetSecretValue",
    "UpdateSecret",
    "CreateSecretVersion",
    "UpdateVersion",
    "UpdateSecretStage",
    "CreateSecretStage",
    "DeleteSecretStage",
    "DeleteSecretStage SYSCURRENT",
    "DeleteSecretStage SYSPREVIOUS",
    "RotateSecret",
    "DownloadSecretBlob",
    "DeleteSecret",
    "DeleteSecretForSchedule",
    "RestoreSecret",
    "CreateSecretTag",
    "DeleteSecretTag",
];

#[test]
fn every_row_of_csms_8_has_its_test() {
    let numbers: Vec<usize> = ROWS.iter().map(|(row, ..)| *row).collect();
    assert_eq!(numbers, (1..=90).collect::<Vec<_>>(), "each row once, in order");
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store");
    for (row, what, proof) in ROWS {
        if let Test(file, test) = proof {
            let text = fs::read_to_string(files.join(format!("{file}.rs"))).unwrap();
            let there = text.contains(&format!("\nfn {test}() {{"));
            assert!(there, "row {row}, {what}: there is no test {test} in {file}.rs");
        }
    }
}

#[test]
fn the_table_of_csms_8_5_leaves_out_no_operation() {
    for operation in OPERATIONS {
        let there = lifecycle::TABLE.iter().any(|(what, ..)| *what == operation);
        assert!(there, "{operation} is not in the table");
    }
}
