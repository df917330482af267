//! A real browser: headless Chromium, driven through chromedriver by the W3C WebDriver protocol, JSON over plain HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::TempDir;

/// One browser window; ended when dropped.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    _profile: TempDir,
    /// Given up last: fields are dropped in order, after the driver has ended.
    _turn: MutexGuard<'static, ()>,
}

/// One browser at a time: on a machine with few cores several only make each other late.
static TURN: Mutex<()> = Mutex::new(());

/// What a browser may be asked to wait for.
const PATIENCE: Duration = Duration::from_secs(15);
/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// Starts one; the error says what is missing on this machine.
    pub fn start() -> Result<Browser, String> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromedriver cannot be started ({error}); apt-get install chromium-driver"))?;
        let port = port_of(&mut driver);
        let profile = TempDir::new();
        let mut browser = Browser {
            driver,
            address: SocketAddr::from(([127, 0, 0, 1], port.unwrap_or(0))),
            session: String::new(),
            _profile: profile,
            _turn: turn,
        };
        port.ok_or("chromedriver does not say on which port it listens")?;
        browser.open()?;
        Ok(browser)
    }

    fn open(&mut self) -> Result<(), String> {
        let profile = format!("--user-data-dir={}", self._profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
            &profile,
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        } } });
        let session = self.send("POST", "/session", &wanted)?;
        self.session = session["sessionId"].as_str().ok_or("no session")?.to_owned();
        Ok(())
    }

    /// Opens an address.
    #[track_caller]
    pub fn open_page(&self, url: &str) {
        self.ask("POST", "/url", &json!({ "url": url }));
    }

    /// Makes the page so many CSS pixels wide, as a telephone or a large screen has it.
    #[track_caller]
    pub fn resize(&self, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.ask(
            "POST",
            "/goog/cdp/execute",
            &json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics }),
        );
    }

    /// Runs a script in the page; what it returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until a script returns true.
    #[track_caller]
    pub fn wait_for(&self, condition: &str) {
        let end = Instant::now() + PATIENCE;
        while self.run(&format!("return Boolean({condition})")) != true {
            assert!(Instant::now() < end, "{condition} did not come true; the page says:\n{}", self.text());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until an element is there and contains the words.
    #[track_caller]
    pub fn wait_for_text(&self, selector: &str, words: &str) {
        let (selector, words) = (json!(selector), json!(words));
        self.wait_for(&format!(
            "[...document.querySelectorAll({selector})].some(e => e.textContent.includes({words}))"
        ));
    }

    /// Clicks an element as a user does: it must be seen, and nothing may lie over it.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let element = self.find(selector);
            match self.send("POST", &self.at(&format!("/element/{element}/click")), &json!({})) {
                Ok(_) => return,
                // It was drawn anew, or something still moves over it.
                Err(_) if Instant::now() < end => thread::sleep(Duration::from_millis(50)),
                Err(error) => panic!("{selector} cannot be clicked: {error}\n{}", self.text()),
            }
        }
    }

    /// Types into an element, in the place of what it holds.
    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.ask("POST", &format!("/element/{element}/clear"), &json!({}));
        self.ask("POST", &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// What the page says.
    #[track_caller]
    pub fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Errors and warnings of the browser's console so far: refused by the policy, failed to load, thrown.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.ask("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let serious = entries.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        serious.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Every address that pages of this window have asked for so far, but for the browser's own first page.
    #[track_caller]
    pub fn requested(&self) -> Vec<String> {
        let entries = self.ask("POST", "/se/log", &json!({ "type": "performance" }));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let messages =
            entries.iter().filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok());
        let sent = messages.filter(|entry| entry["message"]["method"] == "Network.requestWillBeSent");
        let urls = sent.filter_map(|entry| Some(entry["message"]["params"]["request"]["url"].as_str()?.to_owned()));
        urls.filter(|url| !url.starts_with("chrome:")).collect()
    }

    #[track_caller]
    fn find(&self, selector: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let wanted = json!({ "using": "css selector", "value": selector });
            match self.send("POST", &self.at("/element"), &wanted) {
                Ok(found) => return found[ELEMENT].as_str().unwrap().to_owned(),
                Err(_) if Instant::now() < end => thread::sleep(Duration::from_millis(50)),
                Err(error) => panic!("{selector} is not there: {error}\n{}", self.text()),
            }
        }
    }

    fn at(&self, path: &str) -> String {
        format!("/session/{}{path}", self.session)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.send(method, &self.at(path), body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// One exchange on a connection of its own.
    fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let text = |error: std::io::Error| error.to_string();
        let mut socket = TcpStream::connect_timeout(&self.address, PATIENCE).map_err(text)?;
        socket.set_read_timeout(Some(PATIENCE * 2)).map_err(text)?;
        socket.set_write_timeout(Some(PATIENCE)).map_err(text)?;
        let body = body.to_string();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            self.address,
            body.len()
        );
        socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body.as_bytes())).map_err(text)?;
        let content = content(socket).map_err(text)?;
        let mut answer: Value = serde_json::from_slice(&content).map_err(|error| error.to_string())?;
        match answer["value"]["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", answer["value"]["message"].as_str().unwrap_or_default())),
            None => Ok(answer["value"].take()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser goes with its session, the driver with its process.
        if !self.session.is_empty() {
            _ = self.send("DELETE", &self.at(""), &json!({}));
        }
        _ = self.driver.kill();
        _ = self.driver.wait();
    }
}

/// The port that the driver says it listens on.
fn port_of(driver: &mut Child) -> Option<u16> {
    let mut lines = BufReader::new(driver.stdout.take()?).lines();
    let (sender, said) = mpsc::channel();
    thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            let port = line.split("started successfully on port ").nth(1);
            if let Some(port) = port.and_then(|port| port.trim_end_matches('.').parse().ok()) {
                _ = sender.send(port);
            }
        }
    });
    said.recv_timeout(PATIENCE).ok()
}

/// The body of a response with Content-Length; the driver sends no other.
fn content(socket: TcpStream) -> std::io::Result<Vec<u8>> {
    let mut reader = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}
