//! nginx, as Debian packages it: as a bare reverse proxy, the least that a hop over HTTP costs; and with a portal
//! written by hand in Lua, what somebody who knows both would put up in an afternoon.

use crate::{
    Failure,
    contender::{Contender, Door, Kind, Part},
    request,
    shapes::{DOCUMENT, VARIABLES},
    upstream::{Answer, CREDENTIAL},
};
use house::{Process, until};
use serde_json::json;
use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

/// What callers present to it.
const BEARER: &str = "caller-token-0123456789";
/// Modules for Lua, in the order that they must be loaded in.
const MODULES: [&str; 2] =
    ["/usr/lib/nginx/modules/ndk_http_module.so", "/usr/lib/nginx/modules/ngx_http_lua_module.so"];

/// Starts nginx as one of its kinds; `None`, and a word about it, where something for it is not installed.
pub(crate) async fn open(
    kind: Kind,
    folder: &Path,
    upstream: SocketAddr,
) -> Result<Option<Contender>, Failure> {
    let Some(binary) = installed(kind) else { return Ok(None) };
    // It cannot be told to take any free port, so one is found for it.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let folder = folder.join(kind.name());
    fs::create_dir(&folder)?;
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration(kind, &folder, address, upstream)?)?;
    let arguments = ["-p", &folder.display().to_string(), "-c", &file.display().to_string()];
    let process = Process::start(&binary, &arguments.map(str::to_owned), &[], &folder.join("output"));
    until("nginx listens", || async { tokio::net::TcpStream::connect(address).await.is_ok() }).await;
    let mut nginx = Contender::new(kind.name(), address, vec![Part { role: "nginx", process }]);
    for answer in [Answer::Small, Answer::Large] {
        nginx.has(answer, door(kind, answer, BEARER));
    }
    Ok(Some(nginx))
}

/// How a caller asks for an answer: of the Lua portal as of a portal, of all others with the document.
pub(crate) fn door(kind: Kind, answer: Answer, bearer: &str) -> Door {
    let name = answer.name();
    let headers = request::bearer(bearer);
    if kind == Kind::NginxLua {
        let path = format!("/organizations/acme/portals/{name}?operation_name=GetBuilds");
        return Door { path, headers, body: VARIABLES.to_owned() };
    }
    let whole = json!({
        "query": DOCUMENT, "operationName": "GetBuilds", "variables": {"pipelineSlug": "pipe-{n}"}
    });
    Door { path: format!("/{name}"), headers, body: whole.to_string() }
}

fn installed(kind: Kind) -> Option<PathBuf> {
    let places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
    let Some(binary) = places.into_iter().map(PathBuf::from).find(|path| path.is_file()) else {
        eprintln!("SKIPPED: nginx is not installed, so there is no {} to compare with", kind.name());
        return None;
    };
    let missing = match kind {
        Kind::NginxLua if !MODULES.iter().all(|module| Path::new(module).is_file()) => {
            "libnginx-mod-http-lua"
        }
        Kind::NginxLua if !has_cjson() => "lua-cjson",
        _ => return Some(binary),
    };
    eprintln!("SKIPPED: {missing} is not installed, so there is no {} to compare with", kind.name());
    None
}

/// Whether Lua finds its JSON library, which lies in a folder named after the machine's architecture.
fn has_cjson() -> bool {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("lua/5.1/cjson.so")).any(|file| file.is_file())
        || Path::new("/usr/local/lib/lua/5.1/cjson.so").is_file()
}

fn configuration(kind: Kind, folder: &Path, address: SocketAddr, upstream: SocketAddr) -> io::Result<String> {
    let workers = std::thread::available_parallelism()?;
    let folder = folder.display();
    let (modules, start, place) = match kind {
        Kind::NginxLua => (MODULES.map(|module| format!("load_module {module};\n")).concat(), LUA_START, LUA),
        _ => (String::new(), "", BARE),
    };
    let start = start.replace("DOCUMENT", DOCUMENT).replace("BEARER", BEARER);
    Ok(format!(
        r#"
{modules}
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
  upstream up {{ server {upstream}; keepalive 1024; keepalive_requests 100000000; keepalive_timeout 120s; }}
  map $http_authorization $known {{ default 0; "Bearer {BEARER}" 1; }}
  {start}
  server {{
    listen {address} backlog=4096;
    {place}
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer {CREDENTIAL}";
      proxy_pass http://up;
    }}
  }}
}}
"#
    ))
}

/// It checks one bearer and puts the credential in, and that is all: nothing is read, nothing rewritten.
const BARE: &str = "location / {
      if ($known = 0) { return 401; }";

const LUA_START: &str = r#"lua_package_path "/usr/share/lua/5.1/?.lua;;";
  init_by_lua_block {
    cjson = require "cjson.safe"
    bearers = { ["Bearer BEARER"] = true }
    local start = '{"query":' .. cjson.encode([[DOCUMENT]]) .. ',"operationName":"GetBuilds","variables":'
    local operations = { GetBuilds = { start = start, required = { "pipelineSlug" } } }
    portals = { ["acme/small"] = operations, ["acme/large"] = operations }
  }"#;

/// The bearer, the stored document, an object of variables with those that must be there, the rewritten body.
const LUA: &str = r#"location ~ ^/organizations/(?<organization>[^/]+)/portals/(?<portal>[^/]+)$ {
      access_by_lua_block {
        if not bearers[ngx.var.http_authorization or ""] then return ngx.exit(401) end
        local operations = portals[ngx.var.organization .. "/" .. ngx.var.portal]
        local operation = operations and operations[ngx.var.arg_operation_name or ""]
        if not operation then return ngx.exit(404) end
        ngx.req.read_body()
        local body = ngx.req.get_body_data() or ""
        local variables = cjson.decode(body)
        if type(variables) ~= "table" then return ngx.exit(400) end
        for _, name in ipairs(operation.required) do
          local given = type(variables[name])
          if given ~= "string" and given ~= "number" then return ngx.exit(422) end
        end
        ngx.req.set_body_data(operation.start .. body .. "}")
      }
      rewrite ^ /$portal break;"#;
