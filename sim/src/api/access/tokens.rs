//! The API tokens of a user.

use serde_json::{Map, Value, json};

use super::users::{existing, token_info};
use super::{Allow, Answer, Call, Endpoint, judges, parameter_failed};
use crate::failure::Failure;
use crate::schema::{Params, Property, format};
use crate::units::{mix, uuid};
use crate::world::access::{Access, Token, names};

const LIST: &str = "/access/users/{userid}/token";
const ONE: &str = "/access/users/{userid}/token/{tokenid}";
const ALLOW: Allow = Allow::Judged(judges::tokens);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere("GET", LIST, ALLOW, &[], list),
    Endpoint::anywhere("GET", ONE, ALLOW, &[], read),
    Endpoint::anywhere("POST", ONE, ALLOW, &[EXPIRE, PRIVSEP, COMMENT], create),
    Endpoint::anywhere("PUT", ONE, ALLOW, &[EXPIRE, PRIVSEP, COMMENT, DELETE], update),
    Endpoint::anywhere("DELETE", ONE, ALLOW, &[], remove),
];

const EXPIRE: Property = Property::integer("expire").optional().at_least(0);
const PRIVSEP: Property = Property::boolean("privsep").optional();
const COMMENT: Property = Property::text("comment").optional();
const DELETE: Property = Property::text("delete").optional().list_of(format::config_id);

/// Sets the secrets of tokens apart from all else that is made of the seed.
const SECRETS: u64 = 0x0074_6F6B_656E;

fn full_id(params: &Params) -> String {
    format!("{}!{}", params.text("userid"), params.text("tokenid"))
}

/// The token in the path, or PVE's text.
fn found<'a>(access: &'a Access, params: &Params) -> Result<&'a Token, Failure> {
    let (user, name) = (params.text("userid"), params.text("tokenid"));
    existing(access, user)?;
    let known = access.tokens.get(&full_id(params));
    known.ok_or_else(|| Failure::died(format!("no such token '{name}' for user '{user}'")))
}

fn list(call: &mut Call<'_>) -> Answer {
    let user = call.params.text("userid");
    let access = &call.world.access;
    existing(access, user)?;
    let tokens = access.tokens_of(user).map(|(name, token)| {
        let mut entry = token_info(token);
        entry.insert("tokenid".to_owned(), Value::from(name));
        Value::Object(entry)
    });
    Ok(tokens.collect::<Value>().into())
}

fn read(call: &mut Call<'_>) -> Answer {
    let token = found(&call.world.access, &call.params)?;
    Ok(Value::Object(token_info(token)).into())
}

/// Numbers that a request gave come back as it gave them, as texts.
fn as_given(info: &mut Map<String, Value>, params: &Params) {
    for name in ["privsep", "expire"] {
        if let Some(text) = params.get(name) {
            info.insert(name.to_owned(), Value::from(text));
        }
    }
}

/// Makes a token. Its secret is in this answer and never again.
fn create(call: &mut Call<'_>) -> Answer {
    let id = full_id(&call.params);
    existing(&call.world.access, call.params.text("userid"))?;
    if call.world.access.tokens.contains_key(&id) {
        return Err(Failure::parameter("tokenid", "Token already exists."));
    }
    let seed = mix(call.world.seed, SECRETS);
    let access = &mut call.world.access;
    access.made_tokens += 1;
    let secret = uuid(mix(seed, access.made_tokens));
    let comment = call.params.get("comment").and_then(names::kept);
    let token = Token {
        secret: secret.clone(),
        separate: call.params.get("privsep") != Some("0"),
        expire: call.params.integer("expire").unwrap_or(0),
        comment,
        revoked: false,
    };
    let mut info = token_info(&token);
    if call.params.get("expire").is_none() {
        info.remove("expire");
    }
    as_given(&mut info, &call.params);
    access.tokens.insert(id.clone(), token);
    Ok(json!({ "full-tokenid": id, "info": info, "value": secret }).into())
}

fn update(call: &mut Call<'_>) -> Answer {
    found(&call.world.access, &call.params)?;
    let unset = call.params.get("delete").unwrap_or_default().to_owned();
    if let Some(option) = format::items(&unset).find(|option| *option != "comment") {
        let text = format!("unknown option '{option}'");
        return Err(parameter_failed("updating token info", "delete", &text));
    }
    let mut info = Map::new();
    if let Some(token) = call.world.access.tokens.get_mut(&full_id(&call.params)) {
        let params = &call.params;
        token.separate = params.get("privsep").map_or(token.separate, |flag| flag == "1");
        token.expire = params.integer("expire").unwrap_or(token.expire);
        if let Some(comment) = params.get("comment") {
            token.comment = names::kept(comment);
        }
        if format::items(&unset).next().is_some() {
            token.comment = None;
        }
        info = token_info(token);
        as_given(&mut info, params);
    }
    Ok(Value::Object(info).into())
}

fn remove(call: &mut Call<'_>) -> Answer {
    found(&call.world.access, &call.params)?;
    let id = full_id(&call.params);
    call.world.access.remove_token(&id);
    Ok(Value::Null.into())
}
