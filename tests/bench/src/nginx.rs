//! nginx as a bare reverse proxy: the least that a hop over HTTP costs.

use crate::upstream::{CREDENTIAL, Upstream};
use house::Process;
use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

/// What callers present to it.
pub(crate) const BEARER: &str = "caller-token-0123456789";

/// Starts nginx; `None` where it is not installed.
pub(crate) fn open(folder: &Path, upstream: &Upstream) -> io::Result<Option<(SocketAddr, Process)>> {
    let Some(binary) = find() else { return Ok(None) };
    // It cannot be told to take any free port, so one is found for it.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let folder = folder.join("nginx");
    fs::create_dir(&folder)?;
    let file = folder.join("nginx.conf");
    let workers = std::thread::available_parallelism()?;
    fs::write(&file, configuration(&folder, workers.get(), address, upstream.address))?;
    let arguments = ["-p", &folder.display().to_string(), "-c", &file.display().to_string()];
    let process = Process::start(&binary, &arguments.map(str::to_owned), &[], &folder.join("output"));
    Ok(Some((address, process)))
}

fn find() -> Option<PathBuf> {
    ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

/// It checks one bearer and puts the credential in, and that is all: nothing is read, nothing rewritten.
fn configuration(folder: &Path, workers: usize, address: SocketAddr, upstream: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        r#"
worker_processes {workers};
daemon off;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_timeout 120s;
  keepalive_requests 100000000;
  client_body_buffer_size 64k;
  proxy_buffers 16 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 128k;
  map $http_authorization $known {{ default 0; "Bearer {BEARER}" 1; }}
  upstream up {{ server {upstream}; keepalive 128; keepalive_requests 100000000; keepalive_timeout 120s; }}
  server {{
    listen {address} backlog=4096;
    location / {{
      if ($known = 0) {{ return 401; }}
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer {CREDENTIAL}";
      proxy_pass http://up;
    }}
  }}
}}
"#
    )
}
