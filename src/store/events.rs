//! Events: create, show, list, change, delete; and secrets that subscribe to them.

use super::{ListSecrets, Page, Secret, SecretStore, bounds::page_limit};
use crate::{
    commit::{EngineError, Plan},
    crypto::Draw,
    domain::{
        Action, EVENTS_MAX, EventName, EventState, EventType, NotificationTarget, Position,
        SUBSCRIPTIONS_MAX, SecretName,
    },
    error::{Error, Limit, Missing},
    records::{Act, CURSOR_KEY, Cursor, Draft, Event, Object, Operation},
};

/// An event to be created (csms.md 1.7). ENABLED unless it is said otherwise.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing by itself"]
pub struct NewEvent {
    name: EventName,
    types: Vec<EventType>,
    target: NotificationTarget,
    state: EventState,
}

impl NewEvent {
    /// An event called `name` that tells `target` of all that is of one of these types.
    pub fn new(
        name: EventName,
        types: impl IntoIterator<Item = EventType>,
        target: NotificationTarget,
    ) -> Self {
        let types = types.into_iter().collect();
        Self { name, types, target, state: EventState::Enabled }
    }

    /// Sets whether it fires.
    pub fn state(self, state: EventState) -> Self {
        Self { state, ..self }
    }
}

/// What to change of an event (csms.md 1.7). What is not named stays.
#[derive(Clone, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct EventUpdate {
    types: Option<Vec<EventType>>,
    target: Option<NotificationTarget>,
    state: Option<EventState>,
}

impl EventUpdate {
    /// Changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces all types that it fires for.
    pub fn event_types(self, types: impl IntoIterator<Item = EventType>) -> Self {
        Self { types: Some(types.into_iter().collect()), ..self }
    }

    /// Replaces whom it tells.
    pub fn target(self, target: NotificationTarget) -> Self {
        Self { target: Some(target), ..self }
    }

    /// Sets whether it fires.
    pub fn state(self, state: EventState) -> Self {
        Self { state: Some(state), ..self }
    }
}

/// Which events to list (csms.md 3.5). All by default, 50 at a time.
#[derive(Clone, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct ListEvents {
    marker: Option<EventName>,
    limit: Option<usize>,
}

impl ListEvents {
    /// The first 50 events; a store has at most 30.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only events with names greater than this one, which need not exist.
    pub fn marker(self, marker: EventName) -> Self {
        Self { marker: Some(marker), ..self }
    }

    /// At most so many, from 1 to 1,000.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

impl SecretStore {
    /// Creates an event (csms.md 3.5). It does nothing before a secret
    /// [subscribes](crate::SecretUpdate::event_subscriptions) to it.
    ///
    /// # Errors
    ///
    /// * [`Error::AlreadyExists`] if there is an event of this name (csms.md 8.4 row 74).
    /// * [`Error::LimitExceeded`] if there are 30 events.
    /// * [`Error::InvalidArgument`] if no type is named, or one is named twice.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{EventType, NewEvent, NewSecret, NotificationTarget, SecretValue};
    ///
    /// let target = NotificationTarget::new("urn:smn:region-1:project:ops", "ops")?;
    /// store.create_event(&NewEvent::new("gone".parse()?, [EventType::Deleted], target))?;
    /// let secret = NewSecret::new("api".parse()?, SecretValue::from_string("tr-7f2c"))
    ///     .event_subscriptions(["gone".parse()?]);
    /// store.create_secret(secret)?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "CreateSecretEvent")]
    pub fn create_event(&self, new: &NewEvent) -> Result<Event, Error> {
        self.permit(Action::CreateEvent, None)?;
        check_types(&new.types)?;
        let _alone = self.inner.events.lock();
        let records = &self.inner.records;
        let events = records.objects::<Event>()?;
        if events.iter().any(|event| event.body.name == new.name) {
            return Err(Error::AlreadyExists { what: format!("event {}", new.name) });
        }
        let asked = events.len().saturating_add(1);
        if asked > EVENTS_MAX {
            return Err(Error::LimitExceeded { what: Limit::Events, asked, max: EVENTS_MAX });
        }
        let at = self.inner.clock.now();
        let event = Event {
            id: draw(16)?.take().map_err(EngineError::from)?,
            name: new.name.clone(),
            types: new.types.clone(),
            state: new.state,
            target: new.target.clone(),
            created: at,
            updated: at,
        };
        // Again if a delivery moved the cursor meanwhile.
        Self::until_committed(|| {
            let (mut plan, mut draw) = (Plan::at(at), Draw::new(3 * 24)?);
            if events.is_empty() {
                // Nothing from before the first event is told.
                let cursor = records.cursor()?;
                let now = Cursor(Position::end_of(records.engine.news().seq()));
                records.put_object(&mut plan, (CURSOR_KEY, cursor.as_ref()), &now, &mut draw)?;
            }
            let key = records.event_key(&event.name);
            records.put_object::<Event>(&mut plan, (key, None), &event, &mut draw)?;
            self.commit_event(plan, Operation::CreateEvent, &event.name, &mut draw)
        })?;
        Ok(event)
    }

    /// An event (csms.md 3.5).
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is none of this name.
    /// * [`Error::Tampered`], [`Error::Storage`], [`Error::InvalidState`] as for
    ///   [`secret`](Self::secret).
    #[doc(alias = "ShowSecretEvent")]
    pub fn event(&self, name: &EventName) -> Result<Event, Error> {
        self.permit(Action::GetEvent, None)?;
        Ok(self.event_object(name)?.body)
    }

    /// A page of events, by name in byte order (csms.md 3.5).
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidArgument`] if the limit is not from 1 to 1,000.
    /// * [`Error::Tampered`], [`Error::Storage`], [`Error::InvalidState`] as for
    ///   [`secret`](Self::secret).
    #[doc(alias = "ListSecretEvents")]
    pub fn events(&self, list: &ListEvents) -> Result<Page<Event>, Error> {
        self.permit(Action::ListEvents, None)?;
        let limit = page_limit(list.limit)?;
        let found = self.inner.records.objects::<Event>()?.into_iter().map(|event| event.body);
        let behind = |event: &Event| list.marker.as_ref().is_none_or(|it| event.name > *it);
        let mut events: Vec<Event> = found.filter(behind).collect();
        events.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Page::cut(events, limit))
    }

    /// Changes an event: from then on, for changes already made of which notifications are still to be
    /// sent as well (csms.md 3.5). An update that changes nothing writes nothing.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is none of this name.
    /// * [`Error::InvalidArgument`] if no type is named, or one is named twice.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "UpdateSecretEvent")]
    pub fn update_event(&self, name: &EventName, update: &EventUpdate) -> Result<Event, Error> {
        self.permit(Action::UpdateEvent, None)?;
        update.types.as_deref().map_or(Ok(()), check_types)?;
        let _alone = self.inner.events.lock();
        let (records, object) = (&self.inner.records, self.event_object(name)?);
        let mut event = object.body.clone();
        event.types = update.types.clone().unwrap_or(event.types);
        event.target = update.target.clone().unwrap_or(event.target);
        event.state = update.state.unwrap_or(event.state);
        if event == object.body {
            return Ok(event);
        }
        event.updated = self.inner.clock.now();
        let (mut plan, mut draw) = (Plan::at(event.updated), draw(2 * 24)?);
        records.put_object(&mut plan, (object.key, Some(&object)), &event, &mut draw)?;
        self.commit_event(plan, Operation::UpdateEvent, name, &mut draw)?;
        Ok(event)
    }

    /// Deletes an event to which no secret subscribes (csms.md 3.5). All secrets are looked through for
    /// that, some microseconds each.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is none of this name.
    /// * [`Error::InvalidArgument`] if a secret subscribes to it (csms.md 8.4 row 73).
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "DeleteSecretEvent")]
    pub fn delete_event(&self, name: &EventName) -> Result<(), Error> {
        self.permit(Action::DeleteEvent, None)?;
        // Until it is gone no secret subscribes to anything.
        let _still = self.inner.subscribing.write();
        let _alone = self.inner.events.lock();
        let (records, object) = (&self.inner.records, self.event_object(name)?);
        if let Some(secret) = self.subscribers(&ListSecrets::new(), (name, 1), |_| true)?.pop() {
            let reason = match self.may(Action::ListSecrets, secret.name()) {
                true => format!("secret {} subscribes to {name}", secret.name()),
                false => format!("a secret subscribes to {name}"),
            };
            return Err(Error::invalid("event", reason));
        }
        let (mut plan, mut draw) = (Plan::at(self.inner.clock.now()), draw(24)?);
        records.remove_object(&mut plan, &object);
        Ok(self.commit_event(plan, Operation::DeleteEvent, name, &mut draw)?)
    }

    fn event_object(&self, name: &EventName) -> Result<Object<Event>, Error> {
        let found = self.inner.records.event(name)?;
        found.ok_or_else(|| Error::NotFound(Missing::Event(name.as_str().to_owned())))
    }

    fn commit_event(
        &self,
        mut plan: Plan,
        operation: Operation,
        name: &EventName,
        draw: &mut Draw,
    ) -> Result<(), EngineError> {
        let records = &self.inner.records;
        let (author, detail) = (self.author(plan.at), name.as_str());
        let act = Act { author, operation, secret: None, version: None, detail };
        plan.audit.push(act.seal(&records.sealer, draw)?);
        records.engine.commit(plan)?;
        Ok(())
    }

    /// Keeps events from being deleted while a secret is made to subscribe: to be taken before
    /// [`subscribe_to`](Self::subscribe_to) and held until the commit.
    pub(super) fn hold_events(&self) -> impl Sized + '_ {
        self.inner.subscribing.read_recursive()
    }

    /// Has a secret subscribe to these events and to no others. Those that it subscribes to already
    /// need not be there (csms.md 8.4 rows 71 and 72).
    pub(super) fn subscribe_to(
        &self,
        draft: &mut Draft<'_>,
        (before, events): (&[String], &[EventName]),
    ) -> Result<(), Error> {
        let (asked, max) = (events.len(), SUBSCRIPTIONS_MAX);
        if asked > max {
            return Err(Error::LimitExceeded { what: Limit::EventSubscriptions, asked, max });
        }
        for name in events.iter().filter(|name| !before.iter().any(|it| it == name.as_str())) {
            draft.rely_on(&self.event_object(name)?);
        }
        let names = events.iter().map(|name| name.as_str().to_owned());
        draft.secret_mut().event_subscriptions = names.collect();
        Ok(())
    }

    /// At most `max` of the listed secrets that subscribe to an event.
    pub(super) fn subscribers(
        &self,
        list: &ListSecrets,
        (event, max): (&EventName, usize),
        among: impl Fn(&SecretName) -> bool,
    ) -> Result<Vec<Secret>, Error> {
        const NAMES_AT_A_TIME: usize = 1000;
        let records = &self.inner.records;
        records.engine.wait_ready()?;
        let (mut found, mut marker) = (Vec::new(), list.marker.clone());
        loop {
            let names = records.engine.index.names(&list.prefix, marker.as_ref(), NAMES_AT_A_TIME);
            let Some(last) = names.last().cloned() else { return Ok(found) };
            for name in names.iter().filter(|name| among(name)) {
                let facts = self.facts(name)?;
                let subscribes = |it: &String| it == event.as_str();
                found.extend(
                    facts.filter(|it| it.event_subscriptions.iter().any(subscribes)).map(Secret),
                );
                if found.len() >= max {
                    return Ok(found);
                }
            }
            marker = Some::<SecretName>(last);
        }
    }
}

/// csms.md 7.32: one type at least, and none twice.
fn check_types(types: &[EventType]) -> Result<(), Error> {
    if types.is_empty() {
        return Err(Error::invalid("event types", "an event has at least one"));
    }
    let mut seen = Vec::new();
    for kind in types {
        if seen.contains(kind) {
            return Err(Error::invalid("event types", format!("{kind} is named twice")));
        }
        seen.push(*kind);
    }
    Ok(())
}

fn draw(bytes: usize) -> Result<Draw, Error> {
    Ok(Draw::new(bytes).map_err(EngineError::from)?)
}
