//! `portico user`.

use super::access::Access;
use super::args::{ListArgs, PasswordArgs, UserAddArgs, UserResetArgs};
use super::table;
use super::{CliError, Console, Exit};
use crate::admin::protocol::{AddUser, Password, UserView};
use crate::admin::{AdminAnswer, AdminRequest};
use crate::domain::Origin;

pub(super) async fn add(
    args: UserAddArgs,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let password = given(&args.password, console)?;
    let UserAddArgs {
        email,
        id,
        name,
        locale,
        time_zone,
        password: how,
    } = args;
    let request = AdminRequest::AddUser(AddUser {
        id,
        email,
        name,
        locale,
        time_zone,
        password,
    });
    show(&access.call(request).await?, &how, console)
}

pub(super) async fn reset(
    args: UserResetArgs,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let password = given(&args.password, console)?;
    let request = AdminRequest::ResetUser {
        user: args.user,
        password,
    };
    show(&access.call(request).await?, &args.password, console)
}

fn given(args: &PasswordArgs, console: &mut Console<'_>) -> Result<Option<Password>, CliError> {
    match (args.ask, args.password_stdin) {
        (true, _) => console.ask_password().map(Some),
        (false, true) => console.read_password().map(Some),
        (false, false) => Ok(None),
    }
}

fn show(answer: &AdminAnswer, how: &PasswordArgs, console: &mut Console<'_>) -> Result<Exit, CliError> {
    let AdminAnswer::User { user, password } = answer else {
        return Err(CliError::unexpected(answer));
    };
    if how.json {
        let password = password.as_ref().map(Password::expose);
        console.print_json(&serde_json::json!({ "user": user, "password": password }))?;
        return Ok(Exit::Done);
    }
    let mut text = format!("id:       {}\nemail:    {}\n", user.id, user.email);
    if let Some(password) = password {
        text.push_str("password: ");
        text.push_str(password.expose());
        text.push('\n');
    }
    console.print(&text)?;
    if password.is_some() {
        console
            .talk("The password is shown once and stored nowhere. He can change it on his profile page.")?;
    }
    Ok(Exit::Done)
}

pub(super) async fn list(
    args: &ListArgs,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let answer = access.call(AdminRequest::ListUsers).await?;
    let AdminAnswer::Users(users) = &answer else {
        return Err(CliError::unexpected(&answer));
    };
    let headings = ["ID", "EMAIL", "NAME", "SERVICES", "STATE", "FROM"];
    table::list(console, args.json, users, headings, |user| {
        [
            user.id.to_string(),
            user.email.clone(),
            user.name.clone(),
            user.services.to_string(),
            state(user).to_owned(),
            origin(user.origin).to_owned(),
        ]
    })
}

fn state(user: &UserView) -> &'static str {
    match (user.disabled, user.password) {
        (true, _) => "disabled",
        (false, true) => "active",
        (false, false) => "no password",
    }
}

pub(super) const fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::File => "file",
        Origin::Panel => "command",
    }
}
