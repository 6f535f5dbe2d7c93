//! The client against the simulator of `sim/`, which shares no code with it.
//!
//! `calls`, `life` and `guest` make every call on both major versions; `console` looks at screens; `quirks` has what
//! bit other clients of Proxmox VE (below), `old_errors` has errors as older versions tell them, `around` what else happens
//! around a VM; `faults` makes calls while things go wrong, each call with each fault and at random; `lab` is the
//! simulator with a client, `gate` stands between them and can be shut.
//!
//! With `PORTICO_SIM_LISTEN`, `PORTICO_PVE_PROXY` and `PORTICO_PVE_MAJOR` the calls go through a proxy that checks them:
//! docs/schema-check.md.
//!
//! # What bit other clients, and the test that it does not bite this one
//!
//! | what | test |
//! |---|---|
//! | `WARNINGS: n` is success | `quirks::a_task_that_ends_with_warnings_is_a_success` |
//! | numbers come as strings and strings as numbers | `lenient` and `api` beside the code; `quirks::numbers_are_read_whatever_their_type_on_either_major` |
//! | SSH keys are escaped twice, `+` is refused | `quirks::ssh_keys_survive_their_double_escaping` |
//! | DELETE with a body is a 501 | `it::wire::a_delete_has_no_body_and_no_length`; `it::reinstall::a_removal_has_its_parameters_in_the_query_and_no_body`; `quirks::a_delete_takes_its_parameters_without_a_body` |
//! | a missing VM is a 500, not a 404 | `quirks::a_missing_vm_is_told_by_its_text` |
//! | locks that are not had in time under parallel work | `quirks::a_lock_that_is_not_had_in_time_is_transient_and_did_nothing` |
//! | the next free VMID is no reservation | `life::a_vmid_that_was_taken_meanwhile_is_refused` |
//! | a task is unknown for a moment after its start (400) | `quirks::an_unknown_task_has_its_own_reason`; `it::task_end` |
//! | 596 while the daemon is busy | `quirks::a_read_survives_a_busy_daemon_and_a_write_is_not_repeated` |
//! | `VM.Monitor` is gone in 9 | `quirks::the_agent_is_asked_by_the_rights_of_each_major` |
//! | privilege-separated tokens have no rights of their own | `quirks::a_token_without_rights_is_denied_and_not_logged_out` |
//! | VNC tickets and passwords changed their form | `console` |
//! | the agent is not ready after the start, in two texts | `quirks::an_agent_that_is_not_ready_is_silent_in_both_wordings` |
//! | a dead storage holds calls for long | `it::delivery::a_node_that_hangs_does_not_hold_up_the_others` |
//! | tags of one blank | `api` beside the code (`cluster`) |
//! | start and stop under high availability end before they take effect | `quirks::high_availability_is_shown_with_the_status` |
//! | the series of measurements differ between 8 and 9 | `guest::measurements_are_read_with_the_steps_of_each_major` |
//! | the mask of a password must not be written back | `quirks::the_mask_of_a_password_is_never_written_back` |
//! | only 401 is about the login, 403 is not | `quirks::a_token_without_rights_is_denied_and_not_logged_out` |
//! | the command of `exec` is an array | `guest::commands_run_in_the_guest` |
//! | the source of a copied disk is not shown again | `life::a_disk_is_filled_anew_in_place_and_the_old_one_freed` |
//! | a disk on a network storage is not there for a moment after a clone | `it::quirks::a_disk_that_is_not_there_yet_after_a_clone_is_not_a_missing_vm` |
//! | error texts are in the errors, the message or the reason phrase | `it::wire::the_reason_phrase_is_read_where_an_old_version_sends_no_message`; `old_errors`; `quirks::wrong_parameters_are_named_with_their_texts` |

#[cfg(test)]
mod around;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod console;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod guest;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod life;
#[cfg(test)]
mod old_errors;
#[cfg(test)]
mod quirks;
