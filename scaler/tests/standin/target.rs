//! What a request to an API server is about.

use std::collections::HashMap;

/// An object, or all of a kind.
pub(crate) struct Target {
    pub(crate) api_version: String,
    pub(crate) resource: String,
    /// Empty for what is in no namespace, and for lists of what is in any.
    pub(crate) namespace: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Target {
    /// Whether what is in this namespace is meant.
    pub(crate) fn covers(&self, namespace: &str) -> bool {
        self.namespace.is_empty() || self.namespace == namespace
    }
}

/// `/api/v1/namespaces/N/pods/P`, `/apis/GROUP/VERSION/namespaces/N/RESOURCE/NAME/status`, `/api/v1/namespaces/N`.
pub(crate) fn target(path: &str) -> Option<Target> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (api_version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ((*version).to_owned(), rest),
        ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, resource, ..] if !["status", "finalize"].contains(resource) => {
            (*namespace, &rest[2..])
        }
        _ => ("", rest),
    };
    let [resource, rest @ ..] = rest else { return None };
    Some(Target {
        api_version,
        resource: (*resource).to_owned(),
        namespace: namespace.to_owned(),
        name: rest.first().map(|name| (*name).to_owned()),
        subresource: rest.get(1).map(|name| (*name).to_owned()),
    })
}

/// The parameters of a request.
pub(crate) fn query(uri: &http::Uri) -> HashMap<String, String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

fn decode(text: &str) -> String {
    let mut decoded = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).unwrap()
}
