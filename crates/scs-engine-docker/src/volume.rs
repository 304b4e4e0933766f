//! Named volumes.

use crate::Docker;
use crate::call::{Subject, optional};
use bollard::models::{Volume, VolumeCreateRequest};
use bollard::query_parameters::RemoveVolumeOptions;
use scs_ports::engine::{Error, NamedVolume};

impl Docker {
    pub(crate) async fn find_volume(&self, name: &str) -> Result<Option<NamedVolume>, Error> {
        let call = self.client.inspect_volume(name);
        Ok(optional(self.query(&Subject::new("inspect", "volume", name), call).await)?.map(view))
    }

    pub(crate) async fn make_volume(&self, request: &NamedVolume) -> Result<NamedVolume, Error> {
        let driver = if request.driver.is_empty() { "local" } else { &request.driver };
        let body = VolumeCreateRequest {
            name: Some(request.name.clone()),
            driver: Some(driver.to_owned()),
            driver_opts: Some(request.options.clone().into_iter().collect()),
            labels: Some(request.labels.clone().into_iter().collect()),
            cluster_volume_spec: None,
        };
        let call = self.client.create_volume(body);
        Ok(view(self.order(&Subject::new("make", "volume", &request.name), call).await?))
    }

    pub(crate) async fn drop_volume(&self, name: &str) -> Result<(), Error> {
        let call = self.client.remove_volume(name, None::<RemoveVolumeOptions>);
        optional(self.order(&Subject::new("remove", "volume", name), call).await).map(|_| ())
    }
}

fn view(volume: Volume) -> NamedVolume {
    NamedVolume {
        name: volume.name,
        driver: volume.driver,
        options: volume.options.into_iter().collect(),
        labels: volume.labels.into_iter().collect(),
    }
}
