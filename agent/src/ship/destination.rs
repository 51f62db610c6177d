//! Where dumps are shipped to: an address, opened. Credentials come from where each provider's own tools take them
//! (environment, shared files, web identity, container or instance role), and from nowhere else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::multipart::MultipartStore;
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};

use super::profile::SharedFiles;
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
        "s3" => s3(options, bucket, SharedFiles::of_environment(|name| std::env::var_os(name))),
        "gs" => gcs(options, bucket).map_err(described),
        "az" => azure(options, bucket).map_err(described),
        _ => return Err(format!("{scheme}:// is not known: use s3, gs, az or file")),
    };
    let store = store.map_err(|error| format!("{url} cannot be opened: {error}"))?;
    Ok(Place { destination: Destination::Bucket(store), prefix, shown: url.to_owned() })
}

/// An error of the client's, for people.
fn described(error: object_store::Error) -> String {
    told(&error.to_string())
}

fn s3(options: &Ship, bucket: &str, files: Option<SharedFiles>) -> Result<Arc<dyn Bucket>, String> {
    let profile = files.as_ref().map(SharedFiles::read).transpose()?.unwrap_or_default();
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry(options));
    for (key, value) in client(options) {
        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    let has = |key| builder.get_config_value(&key).is_some();
    // The client would go on to the role of the host, which is somebody else.
    if files.is_none()
        && !has(AmazonS3ConfigKey::AccessKeyId)
        && has(AmazonS3ConfigKey::WebIdentityTokenFile)
        && !has(AmazonS3ConfigKey::RoleArn)
    {
        return Err("AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not set: a web identity needs both".into());
    }
    let of_environment = builder.get_config_value(&AmazonS3ConfigKey::Region);
    if let Some(region) = options.region.clone().or(of_environment).or(profile.region) {
        builder = builder.with_region(region);
    }
    if let (Some(files), Some(_)) = (files, profile.keys) {
        builder = builder.with_credentials(Arc::new(files));
    }
    Ok(Arc::new(builder.build().map_err(described)?))
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
