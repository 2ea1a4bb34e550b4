//! API keys: issued once, kept as a hash, checked in constant time, revoked for good.

use std::sync::Arc;

use coffer_domain::id::{ApiKeyId, OrganizationId};
use coffer_store::api_keys::{self as rows, ApiKeyRow};
use coffer_store::{Sealed, Tx};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::audit::{Changes, Entry, append};
use crate::events::Outgoing;
use crate::freshness::{Versioned, check_complete};
use crate::seal::SealKeys;
use crate::transaction::{reread, transact};
use crate::unchanged::Known;
use crate::{Caller, Entropy, Error, Mark, Platform, Scope, clock};

const PREFIX: &str = "cfr";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const MAX_DAYS: u32 = 3650;

/// An API key as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub created_at_ms: i64,
    pub expires_at_ms: Option<i64>,
    pub revoked_at_ms: Option<i64>,
}

/// A new key with its secret, which is shown this once.
pub struct IssuedApiKey {
    pub key: ApiKey,
    /// `cfr_<key id>_<secret>`, both in hexadecimal.
    pub token: Zeroizing<String>,
}

#[derive(Debug, Clone)]
pub struct NewApiKey {
    pub name: String,
    pub scopes: Vec<Scope>,
    pub expires_in_days: Option<u32>,
}

/// The row of a new key and its token.
pub(crate) fn issue(
    entropy: &dyn Entropy,
    now_ms: i64,
    organization: OrganizationId,
    new: &NewApiKey,
) -> Result<(ApiKeyRow, Zeroizing<String>), Error> {
    let id = ApiKeyId::new_v7(u64::try_from(now_ms).unwrap_or(0), clock::random(entropy)?);
    let secret = Zeroizing::new(clock::random::<32>(entropy)?);
    let hex_secret = Zeroizing::new(hex::encode(*secret));
    let token = Zeroizing::new(format!(
        "{PREFIX}_{}_{}",
        hex::encode(id.as_bytes()),
        hex_secret.as_str()
    ));
    let scopes: Vec<&str> = new.scopes.iter().map(|scope| scope.name()).collect();
    let row = ApiKeyRow {
        id,
        organization,
        name: new.name.clone(),
        secret_hash: Sha256::digest(*secret).into(),
        scopes: scopes.join(" "),
        created_at_ms: now_ms,
        expires_at_ms: new
            .expires_in_days
            .map(|days| now_ms + i64::from(days) * DAY_MS),
        revoked_at_ms: None,
        version: 1,
    };
    Ok((row, token))
}

fn parse_token(token: &str) -> Option<(ApiKeyId, Zeroizing<[u8; 32]>)> {
    let mut parts = token.splitn(3, '_');
    let (prefix, id_text, secret_text) = (parts.next()?, parts.next()?, parts.next()?);
    let (mut id, mut secret) = ([0; 16], Zeroizing::new([0; 32]));
    hex::decode_to_slice(id_text, &mut id).ok()?;
    hex::decode_to_slice(secret_text, secret.as_mut_slice()).ok()?;
    (prefix == PREFIX).then(|| (ApiKeyId::from_bytes(id), secret))
}

/// A token that may be a key, and the name under which it is remembered once it was verified.
struct Presented {
    id: ApiKeyId,
    hash: [u8; 32],
    name: [u8; 32],
}

impl Presented {
    fn parse(token: &str) -> Option<Self> {
        let (id, secret) = parse_token(token)?;
        let hash: [u8; 32] = Sha256::digest(secret.as_slice()).into();
        let name = Sha256::new()
            .chain_update(id.as_bytes())
            .chain_update(hash)
            .finalize()
            .into();
        Some(Self { id, hash, name })
    }
}

fn view(row: &ApiKeyRow) -> Result<ApiKey, Error> {
    let scopes: Result<Vec<Scope>, String> = row
        .scopes
        .split(' ')
        .filter(|name| !name.is_empty())
        .map(str::parse)
        .collect();
    Ok(ApiKey {
        id: row.id,
        name: row.name.clone(),
        scopes: scopes.map_err(Error::Internal)?,
        created_at_ms: row.created_at_ms,
        expires_at_ms: row.expires_at_ms,
        revoked_at_ms: row.revoked_at_ms,
    })
}

impl Platform {
    /// The caller behind a token; `None` for every token that does not count, whatever the reason.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Caller>, Error> {
        let counts = self.authenticate_at(token).await?;
        Ok(counts.map(|(caller, _)| Caller::clone(&caller)))
    }

    /// The same, and the state of the database in which the key counted. What was read since and is kept with this
    /// mark may be answered again for as long as the mark stays.
    pub async fn authenticate_at(
        &self,
        token: &str,
    ) -> Result<Option<(Arc<Caller>, Option<Mark>)>, Error> {
        let Some(presented) = Presented::parse(token) else {
            return Ok(None);
        };
        // Before the key is read: what is kept with it is then as new as the mark says, or newer.
        let mark = self.mark().await;
        if let Some(mark) = &mark
            && let Some(known) = self.0.unchanged.caller(mark, &presented.name)
        {
            return Ok(self
                .counts(known)
                .map(|caller| (caller, Some(mark.clone()))));
        }
        let Presented { id, hash, name } = presented;
        let Some(known) = self.known_key(mark.as_ref(), id, &hash).await? else {
            return Ok(None);
        };
        if let Some(mark) = &mark {
            self.0.unchanged.keep_caller(mark, name, known.clone());
        }
        Ok(self.counts(known).map(|caller| (caller, mark)))
    }

    /// The same for a key that was verified before, as long as nothing was committed since; `None` leaves everything to
    /// [`Self::authenticate_at`].
    #[must_use]
    pub fn authenticate_at_once(&self, token: &str) -> Option<(Arc<Caller>, Mark)> {
        let mark = self.0.db.mark_at_once()?;
        let presented = Presented::parse(token)?;
        let known = self.0.unchanged.caller(&mark, &presented.name)?;
        Some((self.counts(known)?, mark))
    }

    fn counts(&self, known: Known) -> Option<Arc<Caller>> {
        let expired = known.expires_at_ms.is_some_and(|end| self.now_ms() >= end);
        (!expired).then_some(known.caller)
    }

    /// The key, if it is the one and was not revoked.
    async fn known_key(
        &self,
        mark: Option<&Mark>,
        id: ApiKeyId,
        hash: &[u8; 32],
    ) -> Result<Option<Known>, Error> {
        let quick = match mark {
            Some(mark) => self.look_up_key(mark, id).await?,
            None => None,
        };
        let row = match quick {
            Some(row) => Some(row),
            None => reread!(self.read_key(id))?,
        };
        let Some(row) = row else {
            return Ok(None);
        };
        let matches: bool = hash.ct_eq(&row.secret_hash).into();
        if !matches || row.revoked_at_ms.is_some() {
            return Ok(None);
        }
        Ok(Some(Known {
            expires_at_ms: row.expires_at_ms,
            caller: Arc::new(Caller {
                organization: row.organization,
                key: row.id,
                scopes: view(&row)?.scopes,
            }),
        }))
    }

    /// The caller whom a configuration names by an API key's id, since a message brings no secret; `None` when the
    /// key is unknown, revoked or past its end.
    pub async fn caller_of_key(&self, id: ApiKeyId) -> Result<Option<Caller>, Error> {
        let Some(row) = reread!(self.read_key(id))? else {
            return Ok(None);
        };
        if !self.is_live(&row) {
            return Ok(None);
        }
        let scopes = view(&row)?.scopes;
        Ok(Some(Caller {
            organization: row.organization,
            key: row.id,
            scopes,
        }))
    }

    /// Whose key it is, whether or not it still counts.
    pub async fn owner_of_key(&self, id: ApiKeyId) -> Result<Option<OrganizationId>, Error> {
        let row = reread!(self.read_key(id))?;
        Ok(row.map(|row| row.organization))
    }

    fn is_live(&self, row: &ApiKeyRow) -> bool {
        row.revoked_at_ms.is_none() && row.expires_at_ms.is_none_or(|end| self.now_ms() < end)
    }

    /// One statement, and everything about it verified; `None` when anything is not as it should be, and whoever
    /// asked goes the long way, which tells why.
    async fn look_up_key(&self, mark: &Mark, id: ApiKeyId) -> Result<Option<ApiKeyRow>, Error> {
        let Some(Sealed { value, seal }) = rows::look_by_id(&self.0.db, id).await? else {
            return Ok(None);
        };
        let organization = value.organization;
        let is_followed = self.follow_to(mark, organization).await.is_ok();
        let latest = self.0.chains.object_version(organization, &id.to_string());
        let sound = is_followed && self.0.seals.verifies(&value, &seal) && latest == value.version;
        Ok(sound.then_some(value))
    }

    async fn read_key(&self, id: ApiKeyId) -> Result<Option<ApiKeyRow>, Error> {
        let mut tx = self.0.db.read().await?;
        match rows::by_id(&mut tx, id).await? {
            Some(sealed) => self.open_key(&mut tx, sealed).await.map(Some),
            None => Ok(None),
        }
    }

    /// Seal and version of a key. A key whose organization is locked still authenticates, so that its
    /// holder can read the audit; every other use case refuses the organization by itself.
    async fn open_key(&self, tx: &mut Tx, sealed: Sealed<ApiKeyRow>) -> Result<ApiKeyRow, Error> {
        let row = self.0.seals.open(sealed, |row| row.id.to_string())?;
        match self
            .check_version(tx, row.organization, Versioned::ApiKey(row.id), row.version)
            .await
        {
            Ok(()) | Err(Error::AuditBroken { .. }) => Ok(row),
            Err(other) => Err(other),
        }
    }

    pub async fn create_api_key(
        &self,
        caller: &Caller,
        new: NewApiKey,
    ) -> Result<IssuedApiKey, Error> {
        self.guard(caller.organization)?;
        validate(caller, &new)?;
        let (row, token) = issue(
            self.0.entropy.as_ref(),
            self.now_ms(),
            caller.organization,
            &new,
        )?;
        transact!(self, tx, {
            insert(tx, &self.0.seals, row.clone(), &caller.actor()).await
        })?;
        Ok(IssuedApiKey {
            key: view(&row)?,
            token,
        })
    }

    pub async fn list_api_keys(&self, caller: &Caller) -> Result<Vec<ApiKey>, Error> {
        self.guard(caller.organization)?;
        let known = self.0.chains.known(caller.organization, ApiKeyId::PREFIX);
        let mut tx = self.0.db.read().await?;
        let mut keys = Vec::new();
        for sealed in rows::of_organization(&mut tx, caller.organization).await? {
            keys.push(view(&self.open_key(&mut tx, sealed).await?)?);
        }
        let found: Vec<String> = keys.iter().map(|key| key.id.to_string()).collect();
        check_complete(known, &found)?;
        Ok(keys)
    }

    /// Revokes a key for good; revoking it again changes nothing.
    pub async fn revoke_api_key(&self, caller: &Caller, id: ApiKeyId) -> Result<(), Error> {
        self.guard(caller.organization)?;
        transact!(self, tx, {
            let sealed = rows::by_id(tx, id)
                .await?
                .filter(|sealed| sealed.value.organization == caller.organization);
            let sealed = sealed.ok_or_else(|| Error::not_found("API key", id))?;
            let mut row = self.open_key(tx, sealed).await?;
            if row.revoked_at_ms.is_some() {
                return Ok(());
            }
            let expected = row.version;
            row.revoked_at_ms = Some(self.now_ms());
            row.version += 1;
            let entry = Entry {
                organization: caller.organization,
                at_ms: self.now_ms(),
                actor: &caller.actor(),
                action: "api_key.revoked",
                object: id.to_string(),
                changes: Changes::version(id, row.version),
                data: (),
                events: Outgoing::none(),
            };
            rows::update(tx, &self.0.seals.seal(row), expected).await?;
            append(tx, &self.0.seals, entry).await?;
            Ok(())
        })
    }
}

/// Stores a new key with its audit record.
pub(crate) async fn insert(
    tx: &mut Tx,
    seals: &SealKeys,
    row: ApiKeyRow,
    actor: &str,
) -> Result<(), Error> {
    #[derive(serde::Serialize)]
    struct Created<'a> {
        name: &'a str,
        scopes: &'a str,
        expires_at: Option<i64>,
    }
    let sealed = seals.seal(row);
    let row = &sealed.value;
    rows::insert(tx, &sealed).await?;
    let entry = Entry {
        organization: row.organization,
        at_ms: row.created_at_ms,
        actor,
        action: "api_key.created",
        object: row.id.to_string(),
        changes: Changes::version(row.id, row.version),
        data: Created {
            name: &row.name,
            scopes: &row.scopes,
            expires_at: row.expires_at_ms,
        },
        events: Outgoing::none(),
    };
    append(tx, seals, entry).await?;
    Ok(())
}

fn validate(caller: &Caller, new: &NewApiKey) -> Result<(), Error> {
    if new.name.trim().is_empty() || new.name.len() > 100 {
        return Err(Error::validation("name", "give 1 to 100 bytes"));
    }
    if new.scopes.is_empty() {
        return Err(Error::validation("scopes", "give at least one scope"));
    }
    if new
        .expires_in_days
        .is_some_and(|days| days == 0 || days > MAX_DAYS)
    {
        return Err(Error::validation(
            "expires_in_days",
            format!("give 1 to {MAX_DAYS} days, or leave it out"),
        ));
    }
    match new.scopes.iter().find(|scope| !caller.may(**scope)) {
        Some(scope) => Err(Error::validation(
            "scopes",
            format!(
                "you cannot give away {}, which you do not have",
                scope.name()
            ),
        )),
        None => Ok(()),
    }
}
