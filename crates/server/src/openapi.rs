//! The OpenAPI 3.1 document, made from the endpoints themselves.

use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, RefOr, tag::TagBuilder,
};

use coffer_platform::{
    AlarmEventV1, AssetEventV1, BatchEventV1, DepositEventV1, LedgerEventV1, NetworkEventV1,
    PoolEventV1, ReconciliationEventV1, Scope, UnconfirmedDepositEventV1, VaultEventV1,
    WalletEventV1,
};

use crate::access::SECURITY_SCHEME;
use crate::api;
use crate::problem::{Code, ProblemView};

/// The document as `/openapi.json` answers it and `coffer openapi` prints it.
#[must_use]
pub fn openapi_json() -> String {
    let mut text = document()
        .to_pretty_json()
        .expect("the document is made of strings and maps");
    text.push('\n');
    text
}

pub(crate) fn document() -> OpenApi {
    api::routes().describe(frame())
}

fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Coffer")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(introduction()))
        .build();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("cfr_<32 hex>_<64 hex>")
        .description(Some("An API key. `X-API-Key` takes it as well."))
        .build();
    let tags = [
        (
            "batches",
            "Wallets by the file: submit, follow, collect the results",
        ),
        ("wallets", "One customer's container of addresses"),
        (
            "vaults",
            "Key trees, their gates, lists, pools and restore drills",
        ),
        ("networks", "Chains that are watched, and their nodes"),
        (
            "assets",
            "The allow-list of assets; nothing else is credited",
        ),
        ("deposits", "Value that arrived at wallets' addresses"),
        (
            "ledger",
            "Double entry: accounts, transactions, entries, balances",
        ),
        ("reconciliations", "The ledger compared with the chain"),
        (
            "events",
            "What other systems are told, complete and in order (CloudEvents 1.0)",
        ),
        ("webhooks", "Events sent to your URLs, signed"),
        ("audit", "The hash-chained record of every change"),
        ("keys", "API keys"),
        ("service", "How this process fares; no key needed"),
    ];
    let tags =
        tags.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build());
    let components = ComponentsBuilder::new()
        .security_scheme(SECURITY_SCHEME, SecurityScheme::Http(key))
        .schema_from::<ProblemView<'_>>();
    let components = event_shapes().fold(components, |components, (name, schema)| {
        components.schema(name, schema)
    });
    let components = components.build();
    OpenApiBuilder::new()
        .info(info)
        .tags(Some(tags))
        .components(Some(components))
        .build()
}

/// What events say: no endpoint answers these shapes by themselves.
fn event_shapes() -> impl Iterator<Item = (String, RefOr<Schema>)> {
    fn shape<T: ToSchema>() -> Vec<(String, RefOr<Schema>)> {
        let mut shapes = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut shapes);
        shapes
    }
    [
        shape::<BatchEventV1>(),
        shape::<WalletEventV1>(),
        shape::<DepositEventV1>(),
        shape::<UnconfirmedDepositEventV1>(),
        shape::<LedgerEventV1>(),
        shape::<NetworkEventV1>(),
        shape::<AssetEventV1>(),
        shape::<VaultEventV1>(),
        shape::<PoolEventV1>(),
        shape::<ReconciliationEventV1>(),
        shape::<AlarmEventV1>(),
    ]
    .into_iter()
    .flatten()
}

fn introduction() -> String {
    let mut text = String::from(
        "Every refusal is `application/problem+json` (RFC 9457) with a stable `code`, and every answer has an \
         `X-Request-Id`. Calls that would have a second effect when sent twice take an `Idempotency-Key`: the same \
         key with the same request gets the first answer again, another request with it is refused. PUT and DELETE \
         may be sent again as they are. Times are UTC with milliseconds.\n\n### Scopes\n",
    );
    for scope in Scope::ALL {
        text.push_str(&format!("- `{}`: {}\n", scope.name(), what(*scope)));
    }
    text.push_str("\n### Codes\n");
    for code in Code::ALL {
        let status = code.status().as_u16();
        text.push_str(&format!(
            "- `{}` ({status}): {}\n",
            code.name(),
            code.title()
        ));
    }
    text
}

/// What a scope lets its holder do.
fn what(scope: Scope) -> &'static str {
    match scope {
        Scope::BatchesRead => "see batches, their progress and results",
        Scope::BatchesWrite => "submit, pause, resume and cancel batches",
        Scope::WalletsRead => "see wallets and look up addresses",
        Scope::WalletsWrite => "create single wallets",
        Scope::WalletsActivate => "activate and reject pending wallets",
        Scope::VaultsRead => "see vaults, their gates, lists and pools",
        Scope::VaultsWrite => "change gates, lists and pools, and run restore drills",
        Scope::NetworksRead => "see networks, assets, their nodes and reconciliations",
        Scope::NetworksWrite => {
            "configure networks and assets, pause, resume, rescan and reconcile them"
        }
        Scope::DepositsRead => "see deposits",
        Scope::DepositsWrite => "release and reject held deposits",
        Scope::LedgerRead => "see ledger accounts, transactions, entries, balances and statements",
        Scope::EventsRead => "read and follow events, of every object",
        Scope::EventsWrite => "have events published again to a message broker",
        Scope::WebhooksRead => "see webhooks and their deliveries",
        Scope::WebhooksWrite => "create, change, test and delete webhooks, and send events again",
        Scope::AuditRead => "read the audit log",
        Scope::KeysWrite => "create, list and revoke API keys",
        Scope::Admin => "everything",
    }
}
