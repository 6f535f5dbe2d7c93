//! What a template's source may say.
//!
//! The engine bounds most of what a template does by fuel, but not all (see `template/value.rs`), and it parses and runs
//! some things that have no place in a plugin's page. So each source is parsed once before the engine compiles it, and
//! refused with its line where it uses any of these:
//!
//! - `{% autoescape %}`: escaping cannot be switched.
//! - Filters and tests that are not registered, templates that are not the plugin's own or the kit: found at install and
//!   not in front of a customer.
//! - Tuples, `*` as repetition and `+` between two values of unknown kind, `*` and `**` in calls: they make containers
//!   that are not bounded.
//! - `include`, `import` and `extends` of anything but a name in quotes.
//! - `loop.changed(…)`, which can hold on to the loop itself and leak it; `loop.cycle()` without values, which panics.
//! - Expressions in each other deeper than 100 levels.
//!
//! Lists, maps and slices are put through the filter `GUARD`: the source is rewritten at the places the parser gives,
//! and the result is parsed again to prove that none was missed.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{BinOpKind, Call, CallArg, Expr, Macro, Spanned, Stmt, UnaryOpKind};
use minijinja::machinery::{Span, parse};
use minijinja::syntax::SyntaxConfig;

use super::error::{Excerpt, TemplateError};

/// The filter that every list, map and slice is put through.
pub(super) const GUARD: &str = "portico_guard";

/// Expressions in each other deeper than this are refused.
const MAX_EXPRESSION_DEPTH: usize = 100;

/// Statements in each other deeper than this are refused.
const MAX_STATEMENT_DEPTH: usize = 60;

/// What a template may name.
pub(super) struct Names<'a> {
    /// The filters that are registered.
    pub(super) filters: &'a BTreeSet<&'static str>,
    /// The tests that are registered.
    pub(super) tests: &'a BTreeSet<&'static str>,
    /// The templates that it may include, import or extend.
    pub(super) templates: &'a BTreeSet<String>,
}

/// Checks a source and gives it back with its containers guarded.
pub(super) fn prepare(name: &str, source: &str, names: &Names<'_>) -> Result<String, TemplateError> {
    let guarded = {
        let tree = parse_named(name, source)?;
        let mut check = Check {
            template: name,
            names,
            sites: Some(Vec::new()),
            expressions: 0,
            statements: 0,
        };
        check.statement(&tree)?;
        insert(source, check.sites.unwrap_or_default())
    };
    let tree = parse_named(name, &guarded)?;
    Check {
        template: name,
        names,
        sites: None,
        expressions: 0,
        statements: 0,
    }
    .statement(&tree)?;
    Ok(guarded)
}

fn parse_named<'a>(name: &'a str, source: &'a str) -> Result<Stmt<'a>, TemplateError> {
    parse(source, name, SyntaxConfig::default()).map_err(|error| TemplateError::Syntax {
        template: Excerpt::new(name),
        line: error.line().unwrap_or(0),
        message: Excerpt::new(error.detail().unwrap_or("it does not parse")),
    })
}

/// Puts `(` and `|guard)` around each of the sites.
fn insert(source: &str, sites: Vec<(usize, usize)>) -> String {
    let closing = format!("|{GUARD})");
    let mut marks: Vec<(usize, u8)> = Vec::with_capacity(sites.len() * 2);
    for (start, end) in sites {
        marks.push((start, 1));
        marks.push((end, 0));
    }
    // At one place, what ends stands before what begins.
    marks.sort_unstable();
    let mut rewritten = String::with_capacity(source.len() + marks.len() * closing.len());
    let mut done = 0;
    for (at, begins) in marks {
        rewritten.push_str(source.get(done..at).unwrap_or_default());
        rewritten.push_str(if begins == 1 { "(" } else { &closing });
        done = at;
    }
    rewritten.push_str(source.get(done..).unwrap_or_default());
    rewritten
}

/// A walk over a parsed template.
struct Check<'a> {
    template: &'a str,
    names: &'a Names<'a>,
    /// Where containers stand; none when all of them must be guarded already.
    sites: Option<Vec<(usize, usize)>>,
    expressions: usize,
    statements: usize,
}

type Checked = Result<(), TemplateError>;

impl Check<'_> {
    fn forbidden(&self, span: Span, what: &str) -> TemplateError {
        TemplateError::Forbidden {
            template: Excerpt::new(self.template),
            line: usize::from(span.start_line),
            what: Excerpt::new(what),
        }
    }

    fn statements(&mut self, statements: &[Stmt<'_>]) -> Checked {
        statements
            .iter()
            .try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt<'_>) -> Checked {
        self.statements += 1;
        if self.statements > MAX_STATEMENT_DEPTH {
            return Err(TemplateError::Forbidden {
                template: Excerpt::new(self.template),
                line: 0,
                what: Excerpt::new(&format!(
                    "blocks in each other deeper than {MAX_STATEMENT_DEPTH} levels"
                )),
            });
        }
        let checked = self.statement_inner(statement);
        self.statements -= 1;
        checked
    }

    fn statement_inner(&mut self, statement: &Stmt<'_>) -> Checked {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::ForLoop(each) => {
                self.target(&each.target)?;
                self.expression(&each.iter)?;
                each.filter_expr
                    .iter()
                    .try_for_each(|filter| self.expression(filter))?;
                self.statements(&each.body)?;
                self.statements(&each.else_body)
            }
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr)?;
                self.statements(&condition.true_body)?;
                self.statements(&condition.false_body)
            }
            Stmt::WithBlock(with) => {
                for (target, value) in &with.assignments {
                    self.target(target)?;
                    self.expression(value)?;
                }
                self.statements(&with.body)
            }
            Stmt::Set(set) => {
                self.target(&set.target)?;
                self.expression(&set.expr)
            }
            Stmt::SetBlock(set) => {
                self.target(&set.target)?;
                set.filter.iter().try_for_each(|filter| self.expression(filter))?;
                self.statements(&set.body)
            }
            Stmt::AutoEscape(auto) => Err(self.forbidden(auto.span(), "`autoescape` is not available")),
            Stmt::FilterBlock(block) => {
                self.expression(&block.filter)?;
                self.statements(&block.body)
            }
            Stmt::Block(block) => self.statements(&block.body),
            Stmt::Import(import) => self.template_name(&import.expr),
            Stmt::FromImport(import) => self.template_name(&import.expr),
            Stmt::Extends(extends) => self.template_name(&extends.name),
            Stmt::Include(include) => self.template_name(&include.name),
            Stmt::Macro(declared) => self.declared(declared),
            Stmt::CallBlock(block) => {
                self.call(&block.call)?;
                self.declared(&block.macro_decl)
            }
            Stmt::Do(action) => self.call(&action.call),
            // Other features of the workspace could switch further statements on.
            #[expect(
                unreachable_patterns,
                reason = "loop controls are a feature of the engine that is off"
            )]
            _ => Err(TemplateError::Forbidden {
                template: Excerpt::new(self.template),
                line: 0,
                what: Excerpt::new("a statement that is not available"),
            }),
        }
    }

    fn declared(&mut self, declared: &Spanned<Macro<'_>>) -> Checked {
        declared
            .args
            .iter()
            .try_for_each(|argument| self.target(argument))?;
        declared
            .defaults
            .iter()
            .try_for_each(|default| self.expression(default))?;
        self.statements(&declared.body)
    }

    /// What is assigned to: names, and names in each other.
    fn target(&mut self, target: &Expr<'_>) -> Checked {
        match target {
            Expr::Var(_) => Ok(()),
            Expr::List(list) => list.items.iter().try_for_each(|item| self.target(item)),
            other => Err(self.forbidden(other.span(), "only names can be assigned to")),
        }
    }

    fn template_name(&self, expression: &Expr<'_>) -> Checked {
        let name = match expression {
            Expr::Const(constant) => constant.value.as_str().map(ToOwned::to_owned),
            _ => None,
        };
        let Some(name) = name else {
            return Err(self.forbidden(expression.span(), "a template is named by a text in quotes"));
        };
        if self.names.templates.contains(&name) {
            Ok(())
        } else {
            Err(TemplateError::UnknownTemplate {
                name: Excerpt::new(&name),
            })
        }
    }

    fn expression(&mut self, expression: &Expr<'_>) -> Checked {
        self.expressions += 1;
        if self.expressions > MAX_EXPRESSION_DEPTH {
            let what = format!("expressions in each other deeper than {MAX_EXPRESSION_DEPTH} levels");
            return Err(self.forbidden(expression.span(), &what));
        }
        let checked = self.expression_inner(expression);
        self.expressions -= 1;
        checked
    }

    fn expression_inner(&mut self, expression: &Expr<'_>) -> Checked {
        match expression {
            Expr::Var(_) | Expr::Const(_) => Ok(()),
            Expr::UnaryOp(operation) => self.expression(&operation.expr),
            Expr::BinOp(operation) => {
                match operation.op {
                    BinOpKind::Mul => {
                        return Err(
                            self.forbidden(operation.span(), "`*` is not available: use the filter `times`")
                        );
                    }
                    BinOpKind::Add if !is_scalar(&operation.left) && !is_scalar(&operation.right) => {
                        return Err(self.forbidden(
                            operation.span(),
                            "`+` needs a number or text on one side: use the filter `plus`, or `~` to join texts",
                        ));
                    }
                    _ => {}
                }
                self.expression(&operation.left)?;
                self.expression(&operation.right)
            }
            Expr::Compare(comparison) => {
                self.expression(&comparison.expr)?;
                comparison
                    .ops
                    .iter()
                    .try_for_each(|operation| self.expression(&operation.expr))
            }
            Expr::IfExpr(condition) => {
                self.expression(&condition.test_expr)?;
                self.expression(&condition.true_expr)?;
                condition
                    .false_expr
                    .iter()
                    .try_for_each(|other| self.expression(other))
            }
            Expr::Filter(filter) => {
                if !self.names.filters.contains(&*normalized(filter.name)) {
                    return Err(
                        self.forbidden(filter.span(), &format!("there is no filter `{}`", filter.name))
                    );
                }
                match &filter.expr {
                    Some(inner) if filter.name == GUARD => self.guarded(inner)?,
                    Some(inner) => self.expression(inner)?,
                    None => {}
                }
                self.arguments(filter.span(), &filter.args)
            }
            Expr::Test(test) => {
                if !self.names.tests.contains(&*normalized(test.name)) {
                    return Err(self.forbidden(test.span(), &format!("there is no test `{}`", test.name)));
                }
                self.expression(&test.expr)?;
                self.arguments(test.span(), &test.args)
            }
            Expr::GetAttr(access) => self.expression(&access.expr),
            Expr::GetItem(access) => {
                self.expression(&access.expr)?;
                self.expression(&access.subscript_expr)
            }
            Expr::Call(call) => self.call(call),
            Expr::Tuple(tuple) => Err(self.forbidden(
                tuple.span(),
                "tuples are not available: write a list in square brackets",
            )),
            Expr::List(_) | Expr::Map(_) | Expr::Slice(_) => {
                let span = expression.span();
                match &mut self.sites {
                    Some(sites) => sites.push((span.start_offset as usize, span.end_offset as usize)),
                    None => {
                        return Err(
                            self.forbidden(span, "a list, map or slice at this place is not available")
                        );
                    }
                }
                self.parts(expression)
            }
        }
    }

    /// What the guard is applied to.
    fn guarded(&mut self, expression: &Expr<'_>) -> Checked {
        match expression {
            Expr::List(_) | Expr::Map(_) | Expr::Slice(_) => self.parts(expression),
            other => self.expression(other),
        }
    }

    /// What is in a list or map, and the operands of a slice.
    fn parts(&mut self, expression: &Expr<'_>) -> Checked {
        match expression {
            Expr::List(list) => list.items.iter().try_for_each(|item| self.expression(item)),
            Expr::Map(map) => {
                map.keys.iter().try_for_each(|key| self.expression(key))?;
                map.values.iter().try_for_each(|value| self.expression(value))
            }
            Expr::Slice(slice) => {
                self.expression(&slice.expr)?;
                [&slice.start, &slice.stop, &slice.step]
                    .into_iter()
                    .flatten()
                    .try_for_each(|part| self.expression(part))
            }
            other => self.expression(other),
        }
    }

    fn call(&mut self, call: &Spanned<Call<'_>>) -> Checked {
        match &call.expr {
            Expr::Var(_) => {}
            Expr::GetAttr(method) => {
                if method.name == "changed" {
                    return Err(self.forbidden(call.span(), "`changed` is not available"));
                }
                if method.name == "cycle" && call.args.is_empty() {
                    return Err(self.forbidden(call.span(), "`cycle` needs at least one value"));
                }
                self.expression(&method.expr)?;
            }
            _ => {
                return Err(self.forbidden(
                    call.span(),
                    "only macros and functions can be called, by their name",
                ));
            }
        }
        self.arguments(call.span(), &call.args)
    }

    fn arguments(&mut self, span: Span, arguments: &[CallArg<'_>]) -> Checked {
        arguments.iter().try_for_each(|argument| match argument {
            CallArg::Pos(value) | CallArg::Kwarg(_, value) => self.expression(value),
            CallArg::PosSplat(_) | CallArg::KwargSplat(_) => {
                Err(self.forbidden(span, "`*` and `**` in a call are not available"))
            }
        })
    }
}

/// The engine looks filters and tests up without the space in their names.
fn normalized(name: &str) -> String {
    name.chars()
        .filter(|character| !character.is_ascii_whitespace())
        .collect()
}

/// Whether a value is a text or a number for certain, so that `+` with it cannot join lists.
fn is_scalar(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Const(constant) => constant.value.is_number() || constant.value.as_str().is_some(),
        Expr::UnaryOp(operation) => matches!(operation.op, UnaryOpKind::Neg),
        Expr::BinOp(operation) => matches!(
            operation.op,
            BinOpKind::Add
                | BinOpKind::Sub
                | BinOpKind::Div
                | BinOpKind::FloorDiv
                | BinOpKind::Rem
                | BinOpKind::Pow
                | BinOpKind::Concat
        ),
        Expr::Filter(filter) => matches!(
            filter.name,
            "abs" | "count" | "float" | "int" | "length" | "plus" | "round" | "times"
        ),
        _ => false,
    }
}
