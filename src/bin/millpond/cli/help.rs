//! What `millpond help` says: each text is whole, with examples that can be copied.

use super::Topic;

/// The explanation of a topic; `None` for the configuration file, which the library explains.
pub(super) fn text(topic: Topic) -> Option<&'static str> {
    match topic {
        Topic::Overview => Some(OVERVIEW),
        Topic::Config => None,
        Topic::Serve => Some(SERVE),
        Topic::Check => Some(CHECK),
        Topic::Init => Some(INIT),
        Topic::Demo => Some(DEMO),
        Topic::Failures => Some(FAILURES),
        Topic::Help => Some(HELP),
    }
}

const OVERVIEW: &str = "\
Millpond is a CDN point of presence: it stands before an origin server, stores what may be stored, and says why a
fetch failed when one does.

  millpond demo                                    see it work, on this machine alone
  millpond serve --origin https://HOST             serve one origin at once, on http://127.0.0.1:8080
  millpond init millpond.toml                      write a starter configuration
  millpond check --config millpond.toml            say what is wrong with it, line by line
  millpond serve --config millpond.toml            serve it
  millpond failures --config millpond.toml         show which fetches failed, since when and how often

  millpond help COMMAND                            explain serve, check, init, demo or failures
  millpond help config                             explain every key of the configuration file
  millpond --version

Exit status: 0 all is well, 1 something failed, 2 the command line or the configuration is wrong.
";

const SERVE: &str = "\
millpond serve --config FILE
millpond serve --origin URL [--listen ADDRESS:PORT] [--keep-host]

Serves until SIGTERM or Ctrl-C; then it takes no new connections and finishes what runs.

  --config FILE           everything from a configuration file (millpond help config)
  --origin URL            one origin for every name, without a file: http://HOST[:PORT] or https://HOST[:PORT].
                          The scheme decides how the origin is spoken to; an https origin must show a certificate
                          for HOST that this machine trusts
  --listen ADDRESS:PORT   with --origin: where clients reach Millpond; 127.0.0.1:8080 unless given
  --keep-host             with --origin: send the client's Host to the origin, instead of the origin's own name

Try it:

  millpond serve --origin https://example.com
  curl -i http://127.0.0.1:8080/          # Cache-Status tells that this one was fetched
  curl -i http://127.0.0.1:8080/          # and whether this one came from memory

A response with status 502, 503 or 504 that Millpond makes itself has a Proxy-Status field with the cause.
";

const CHECK: &str = "\
millpond check --config FILE

Reads a configuration file as serve would, and reports every problem at once, one a line:

  millpond.toml:12: site[1].origin.sni: \"10.0.0.1\" is an IP address; an SNI is a name that …

that is: file, line, key (sites and list items counted from 1), what is wrong; what to do. Lines with the word
\"warning\" are settings that are accepted but hardly meant. It opens no connection and changes nothing.

Exit status: 0 the file is good, perhaps with warnings; 2 it would be refused.

  millpond check --config millpond.toml && systemctl reload millpond
";

const INIT: &str = "\
millpond init [FILE]

Gives a starter configuration: valid as it is, with every other setting in a comment beside its default. Writes it to
FILE, which must not exist yet (nothing is ever overwritten), or prints it where no FILE is given.

  millpond init millpond.toml
  $EDITOR millpond.toml                   # set domains and servers
  millpond check --config millpond.toml
  millpond serve --config millpond.toml
";

const DEMO: &str = "\
millpond demo [--once]

Starts an HTTPS origin with certificates made on the spot and Millpond before it, both on loopback ports of this
machine, and walks through what a CDN is for, printing each request and its answer: a miss and then a hit; a crowd of
clients that costs the origin one fetch; a 502 because of a certificate's name, its cause, and the line that mends it.
Needs no network and leaves nothing behind.

  --once   end after the walk; otherwise it serves on until Ctrl-C, with curl lines to copy
";

const FAILURES: &str = "\
millpond failures [DOMAIN] --config FILE [--json]
millpond failures [DOMAIN] --state DIR [--json]

Shows the failure ledger of a Millpond that runs or has run: a line for each site, cause and origin address, with how
often, the first and the last time, and the last fetch from there that went well. \"all 3 addresses\" means that every
address of the server fails; \"1 of 3\" that others do well. Below each is one example. What has gone well since its
last failure is marked \"well again\". A running Millpond writes its ledger every few seconds.

  DOMAIN          only the site that answers for this name
  --config FILE   the ledger in the state directory of this configuration file: dir under [state]
  --state DIR     the ledger in this directory; DOMAIN is then a site's first domain
  --json          an object a line: site, server, address, cause, phase, count, first, last, last_good (RFC 3339 or
                  null), is_open, failing_addresses, known_addresses, seconds (of the last one's phases), example
                  (time, request, detail, sni, alert, rcode, certificate_names, head_start)

Exit status: 0 the ledger could be read, whatever is in it; 1 it could not; 2 the command line or the file is wrong.

  millpond failures --config millpond.toml
  millpond failures img.example.com --config millpond.toml
";

const HELP: &str = "\
millpond help [COMMAND | config]

Explains the program, a command (serve, check, init, demo, failures), or every key of the configuration file.

  millpond help config | less
";
