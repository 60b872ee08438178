use perper_proto::{Reason, v1};
use v1::response::Response;

use super::Dictionaries;
use super::transaction::{Staged, Step, Transaction};
use crate::engine::Outcome;
use crate::engine::embedded::changes::Changes;
use crate::engine::embedded::states::{Unpublished, entry_key};

impl Dictionaries {
    pub(super) fn update(
        &mut self,
        request: v1::UpdateDictionaryRequest,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let id = &request.dictionary;
        let state = self.catalogue.get(id)?;
        let mut transaction = Transaction::new(&self.entries, state.contents_number, state.count);
        let operations = request.operations.len();
        let mut results = Vec::with_capacity(operations);
        for (index, operation) in request.operations.into_iter().enumerate() {
            let Some(operation) = operation.operation else {
                return Err(Reason::InvalidArgument
                    .error(format!("operation {index} on dictionary {id:?} does not say what to do"))
                    .with("operation", index));
            };
            match transaction.carry_out(operation) {
                Ok(Step::Done(result)) => results.push(result),
                Ok(Step::Failed) => {
                    return Ok(Some(Response::UpdateDictionary(v1::UpdateDictionaryResponse {
                        results: vec![v1::DictionaryResult::default(); operations],
                        failed_operation: Some(u32::try_from(index).unwrap_or(u32::MAX)),
                    })));
                }
                Err(mut error) => {
                    error.message = format!("operation {index} on dictionary {id:?}: {}", error.message);
                    return Err(error.with("dictionary", id).with("operation", index));
                }
            }
        }
        let staged = transaction.finish();
        self.write(id, staged, changes);
        Ok(Some(Response::UpdateDictionary(v1::UpdateDictionaryResponse { results, failed_operation: None })))
    }

    /// Makes what was staged so. Nothing here can fail.
    fn write(&mut self, id: &str, staged: Staged, changes: &mut Changes<Unpublished>) {
        let Staged { cleared, count, entries } = staged;
        let Ok(state) = self.catalogue.get(id) else { return };
        if cleared && state.count > 0 {
            self.catalogue.clear(id, changes);
        }
        let Ok(state) = self.catalogue.get(id) else { return };
        let contents = state.contents_number;
        if state.count != count
            && let Some(state) = self.catalogue.change(id)
        {
            state.count = count;
        }
        for (key, packed) in entries {
            self.entries.write(entry_key(contents, &key), packed, &mut changes.batch);
        }
    }
}
