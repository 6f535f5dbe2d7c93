//! The filters, tests and functions that templates have: these, and none of the engine's own unless it is named here.
//!
//! `panel` holds what the panel adds, which its own pages use as well ([`register`], [`with_context`]); `text`,
//! `number` and `list` replace the engine's: each charges fuel for what it does, returns lists that are bounded (see
//! `template/value.rs`) and never turns data into markup. Only `escape`, `join` and the macros of templates make markup, all
//! of them by escaping what is not.
//!
//! To add one: a function that takes and returns values, an entry in `all`, a line in the test that prints `<script>`
//! through every filter, and a line in the plugin author's guide.
//!
//! Left out on purpose: `safe`, `attr`, `debug`, `pprint`, `format`, `indent`, `namespace`, `dict`, `groupby`, `zip`,
//! `chain`, `slice`.

mod list;
mod number;
mod panel;
mod text;

use std::collections::BTreeSet;

use minijinja::functions::Function;
use minijinja::value::{FunctionArgs, FunctionResult};
use minijinja::{Environment, Error, State, Value, tests};

pub use panel::{register, with_context};

use super::syntax::GUARD;
use super::value;

/// Bytes that one unit of the engine's fuel pays for.
const BYTES_PER_FUEL: usize = 64;

/// Charges for the work on so many bytes.
fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(1 + u64::try_from(bytes / BYTES_PER_FUEL).unwrap_or(u64::MAX))
}

/// What is registered in an environment.
#[derive(Debug, Default)]
pub(super) struct Registered {
    pub(super) filters: BTreeSet<&'static str>,
    pub(super) tests: BTreeSet<&'static str>,
}

struct Registry<'a> {
    environment: &'a mut Environment<'static>,
    registered: Registered,
}

impl Registry<'_> {
    fn filter<F, Rv, Args>(&mut self, name: &'static str, filter: F)
    where
        F: Function<Rv, Args>,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.environment.add_filter(name, filter);
        self.registered.filters.insert(name);
    }

    fn test<F, Rv, Args>(&mut self, name: &'static str, test: F)
    where
        F: Function<Rv, Args>,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.environment.add_test(name, test);
        self.registered.tests.insert(name);
    }
}

/// Registers everything a plugin's template may use.
pub(super) fn all(environment: &mut Environment<'static>) -> Registered {
    register(environment);
    let mut registry = Registry {
        environment,
        registered: Registered::default(),
    };
    registry.registered.filters.extend(panel::NAMES);
    registry.filter(GUARD, |state: &State<'_, '_>, value: &Value| {
        value::guard(state, value)
    });

    registry.filter("capitalize", text::capitalize);
    registry.filter("e", text::escape);
    registry.filter("escape", text::escape);
    registry.filter("lines", text::lines);
    registry.filter("lower", text::lower);
    registry.filter("replace", text::replace);
    registry.filter("split", text::split);
    registry.filter("string", text::string);
    registry.filter("title", text::title);
    registry.filter("trim", text::trim);
    registry.filter("truncate", text::truncate);
    registry.filter("upper", text::upper);
    registry.filter("urlencode", text::urlencode);

    registry.filter("abs", minijinja::filters::abs);
    registry.filter("float", number::float);
    registry.filter("int", number::int);
    registry.filter("plus", number::plus);
    registry.filter("round", minijinja::filters::round);
    registry.filter("times", number::times);

    registry.filter("batch", list::batch);
    registry.filter("count", list::length);
    registry.filter("d", minijinja::filters::default);
    registry.filter("default", minijinja::filters::default);
    registry.filter("first", list::first);
    registry.filter("items", list::items);
    registry.filter("join", list::join);
    registry.filter("last", list::last);
    registry.filter("length", list::length);
    registry.filter("list", list::list);
    registry.filter("map", list::map);
    registry.filter("max", list::max);
    registry.filter("min", list::min);
    registry.filter("reject", list::reject);
    registry.filter("rejectattr", list::rejectattr);
    registry.filter("reverse", list::reverse);
    registry.filter("select", list::select);
    registry.filter("selectattr", list::selectattr);
    registry.filter("sort", list::sort);
    registry.filter("sum", list::sum);
    registry.filter("tojson", list::tojson);
    registry.filter("unique", list::unique);

    registry.test("boolean", tests::is_boolean);
    registry.test("defined", tests::is_defined);
    registry.test("divisibleby", tests::is_divisibleby);
    registry.test("endingwith", tests::is_endingwith);
    registry.test("eq", tests::is_eq);
    registry.test("equalto", tests::is_eq);
    registry.test("even", tests::is_even);
    registry.test("false", tests::is_false);
    registry.test("float", tests::is_float);
    registry.test("ge", tests::is_ge);
    registry.test("gt", tests::is_gt);
    registry.test("in", tests::is_in);
    registry.test("integer", tests::is_integer);
    registry.test("iterable", tests::is_iterable);
    registry.test("le", tests::is_le);
    registry.test("lt", tests::is_lt);
    registry.test("mapping", tests::is_mapping);
    registry.test("ne", tests::is_ne);
    registry.test("none", tests::is_none);
    registry.test("number", tests::is_number);
    registry.test("odd", tests::is_odd);
    registry.test("sequence", tests::is_sequence);
    registry.test("startingwith", tests::is_startingwith);
    registry.test("string", tests::is_string);
    registry.test("true", tests::is_true);
    registry.test("undefined", tests::is_undefined);

    registry.environment.add_function("range", list::range);
    registry.registered
}
