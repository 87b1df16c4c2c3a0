//! Projects: `/organization/projects`.

use countersign_types::{
    id::ProjectId,
    page::Page,
    project::{Project, ProjectCreateRequest, ProjectUpdateRequest},
};

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

const PATH: [&str; 2] = ["organization", "projects"];

/// The projects of an organization: see [`Client::projects`].
#[derive(Debug, Clone)]
pub struct Projects {
    client: Client,
}

/// Which page of the list of projects to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectListParams {
    /// Where the page starts, and its size.
    pub list: ListParams,
    /// Whether archived projects are listed too.
    pub include_archived: bool,
}

impl ProjectListParams {
    fn request(&self) -> Request {
        let archived = self.include_archived.then_some(true);
        self.list
            .apply(Request::get(&PATH))
            .query("include_archived", archived)
    }
}

impl Projects {
    /// One page of the projects.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &ProjectListParams,
    ) -> Result<Response<Page<Received<Project>>>, Error> {
        let after = params.list.after.as_deref();
        self.client.page(params.request(), after).await
    }

    /// All projects.
    pub fn stream(&self, params: &ProjectListParams) -> ItemStream<Received<Project>> {
        self.client
            .pages(params.request(), params.list.after.clone())
    }

    /// Creates a project.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create(
        &self,
        project: &ProjectCreateRequest,
    ) -> Result<Response<Received<Project>>, Error> {
        self.client.send(Request::post(&PATH).json(project)?).await
    }

    /// One project.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(&self, id: &ProjectId) -> Result<Response<Received<Project>>, Error> {
        self.client.send(Request::get(&one(id))).await
    }

    /// Changes a project; what is absent stays as it is.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn update(
        &self,
        id: &ProjectId,
        change: &ProjectUpdateRequest,
    ) -> Result<Response<Received<Project>>, Error> {
        self.client
            .send(Request::post(&one(id)).json(change)?)
            .await
    }

    /// Archives a project: its keys stop working, and nothing more can be activated for it.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn archive(&self, id: &ProjectId) -> Result<Response<Received<Project>>, Error> {
        let [organization, projects] = PATH;
        let path = [organization, projects, id.as_str(), "archive"];
        self.client.send(Request::post(&path)).await
    }
}

fn one(id: &ProjectId) -> [&str; 3] {
    let [organization, projects] = PATH;
    [organization, projects, id.as_str()]
}

impl Client {
    /// The organization's projects.
    #[must_use]
    pub fn projects(&self) -> Projects {
        Projects {
            client: self.clone(),
        }
    }
}

/// The operations under the reference's names.
impl Client {
    /// [`Projects::list`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list_projects(
        &self,
        params: &ProjectListParams,
    ) -> Result<Response<Page<Received<Project>>>, Error> {
        self.projects().list(params).await
    }

    /// [`Projects::create`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn create_project(
        &self,
        project: &ProjectCreateRequest,
    ) -> Result<Response<Received<Project>>, Error> {
        self.projects().create(project).await
    }

    /// [`Projects::retrieve`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve_project(
        &self,
        id: &ProjectId,
    ) -> Result<Response<Received<Project>>, Error> {
        self.projects().retrieve(id).await
    }

    /// [`Projects::update`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn modify_project(
        &self,
        id: &ProjectId,
        change: &ProjectUpdateRequest,
    ) -> Result<Response<Received<Project>>, Error> {
        self.projects().update(id, change).await
    }

    /// [`Projects::archive`].
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn archive_project(
        &self,
        id: &ProjectId,
    ) -> Result<Response<Received<Project>>, Error> {
        self.projects().archive(id).await
    }
}
