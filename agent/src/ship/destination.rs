//! Where dumps are shipped to: an address, opened. Credentials come from where each provider's own tools take them
//! (environment, web identity, container or instance role), and from nowhere else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::multipart::MultipartStore;
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};

use super::trouble::told;
use crate::config::Ship;

/// A service that takes objects in parts.
pub trait Bucket: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> Bucket for T {}

/// Where to.
#[derive(Clone)]
pub enum Destination {
    /// Object storage.
    Bucket(Arc<dyn Bucket>),
    /// A directory, of a network file system for instance.
    Folder(PathBuf),
}

/// A destination and what is below it.
pub struct Place {
    /// Where to.
    pub destination: Destination,
    /// What every key begins with: nothing, or something that ends in a slash.
    pub prefix: String,
    /// The address, without a slash at the end.
    pub shown: String,
}

/// Opens a destination; an error says what is wrong with the address or its options.
pub fn open(options: &Ship) -> Result<Place, String> {
    let url = options.url.trim_end_matches('/');
    let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("{url:?} is no address: it has no ://"))?;
    if scheme == "file" {
        let destination = Destination::Folder(PathBuf::from(if rest.is_empty() { "/" } else { rest }));
        return Ok(Place { destination, prefix: String::new(), shown: url.to_owned() });
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(format!("{url:?} names no bucket: write {scheme}://BUCKET/PREFIX"));
    }
    let prefix = match prefix.trim_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    let store = match scheme {
        "s3" => s3(options, bucket),
        "gs" => gcs(options, bucket),
        "az" => azure(options, bucket),
        _ => return Err(format!("{scheme}:// is not known: use s3, gs, az or file")),
    };
    let store = store.map_err(|error| format!("{url} cannot be opened: {}", told(&error.to_string())))?;
    Ok(Place { destination: Destination::Bucket(store), prefix, shown: url.to_owned() })
}

fn s3(options: &Ship, bucket: &str) -> object_store::Result<Arc<dyn Bucket>> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry(options));
    for (key, value) in client(options) {
        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    Ok(Arc::new(builder.build()?))
}

fn gcs(options: &Ship, bucket: &str) -> object_store::Result<Arc<dyn Bucket>> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry(options));
    for (key, value) in client(options) {
        builder = builder.with_config(GoogleConfigKey::Client(key), value);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_config(GoogleConfigKey::BaseUrl, endpoint);
    }
    Ok(Arc::new(builder.build()?))
}

fn azure(options: &Ship, container: &str) -> object_store::Result<Arc<dyn Bucket>> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(container).with_retry(retry(options));
    for (key, value) in client(options) {
        builder = builder.with_config(AzureConfigKey::Client(key), value);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    Ok(Arc::new(builder.build()?))
}

fn client(options: &Ship) -> Vec<(ClientConfigKey, String)> {
    let connect = options.timeout.min(Duration::from_secs(10));
    let mut keys = vec![
        (ClientConfigKey::Timeout, format!("{} ms", options.timeout.as_millis())),
        (ClientConfigKey::ConnectTimeout, format!("{} ms", connect.as_millis())),
        (ClientConfigKey::UserAgent, concat!("heapsee-agent/", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    if options.allow_http {
        keys.push((ClientConfigKey::AllowHttp, "true".to_owned()));
    }
    keys
}

/// One retry at once, for a connection that was closed while it was idle; outages are waited for elsewhere.
fn retry(options: &Ship) -> RetryConfig {
    RetryConfig { max_retries: 1, retry_timeout: options.timeout, ..RetryConfig::default() }
}
