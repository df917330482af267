//! What `millpond help` says: each text is whole, with examples that can be copied.

use super::Topic;

/// The explanation of a topic; `None` for the configuration file, which the library explains.
pub(super) fn text(topic: Topic) -> Option<&'static str> {
    match topic {
        Topic::Overview => Some(OVERVIEW),
        Topic::Config => None,
        Topic::Serve => Some(SERVE),
        Topic::Check => Some(CHECK),
        Topic::Explain => Some(EXPLAIN),
        Topic::Doctor => Some(DOCTOR),
        Topic::Init => Some(INIT),
        Topic::Demo => Some(DEMO),
        Topic::Failures => Some(FAILURES),
        Topic::Dashboard => Some(DASHBOARD),
        Topic::Service => Some(SERVICE),
        Topic::Prefetch => Some(PREFETCH),
        Topic::Purge => Some(PURGE),
        Topic::Tasks => Some(TASKS),
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
  millpond doctor DOMAIN --config millpond.toml    say why its fetches fail, and which line mends it
  millpond failures --config millpond.toml         show which fetches failed, since when and how often

  millpond explain URL --config millpond.toml      tell what becomes of a request, and why
  millpond service --config millpond.toml          print a systemd unit for it
  millpond dashboard                               print a Grafana dashboard

  millpond prefetch URL… --config millpond.toml    have a running Millpond fetch before anybody asks
  millpond purge --prefix URL --config …           have it take stored responses out of use
  millpond tasks --config millpond.toml            show what it was asked to do, and how far it is

  millpond help COMMAND                            explain serve, check, doctor, explain, init, demo, failures,
                                                   prefetch, purge, tasks, service or dashboard
  millpond help config                             explain every key of the configuration file
  millpond --version

Exit status: 0 all is well, 1 something failed, 2 the command line or the configuration is wrong.
";

const SERVE: &str = "\
millpond serve --config FILE [--require-healthy]
millpond serve --origin URL [--listen ADDRESS:PORT] [--keep-host]

Serves until SIGTERM or Ctrl-C; then it takes no new connections and finishes what runs.

  --config FILE           everything from a configuration file (millpond help config)
  --origin URL            one origin for every name, without a file: http://HOST[:PORT] or https://HOST[:PORT].
                          The scheme decides how the origin is spoken to; an https origin must show a certificate
                          for HOST that this machine trusts
  --listen ADDRESS:PORT   with --origin: where clients reach Millpond; 127.0.0.1:8080 unless given
  --keep-host             with --origin: send the client's Host to the origin, instead of the origin's own name
  --require-healthy       look at every origin first (as millpond check --live does), and do not start where a site's
                          fetches would all fail; a reload (SIGHUP) looks at the sites that it changes in the same
                          way, and is refused where one would fail from then on

Try it:

  millpond serve --origin https://example.com
  curl -i http://127.0.0.1:8080/          # Cache-Status tells that this one was fetched
  curl -i http://127.0.0.1:8080/          # and whether this one came from memory

A response with status 502, 503 or 504 that Millpond makes itself has a Proxy-Status field with the cause.
";

const CHECK: &str = "\
millpond check --config FILE [--live]

Reads a configuration file as serve would, and reports every problem at once, one a line:

  millpond.toml:12: site[1].origin.sni: \"10.0.0.1\" is an IP address; an SNI is a name that …

that is: file, line, key (sites and list items counted from 1), what is wrong; what to do. Lines with the word
\"warning\" are settings that are accepted but hardly meant. It opens no connection and changes nothing.

  --live   then look at every origin, as millpond doctor does up to its step 7: one line a site

Exit status: 0 the file is good, perhaps with warnings; 1 with --live: an origin is not well; 2 it would be refused.

  millpond check --config millpond.toml && systemctl reload millpond
";

const EXPLAIN: &str = "\
millpond explain URL [-H 'Name: value']… [-R 'Name: value']… [--status STATUS] --config FILE

Tells what would become of a GET for a URL, from a configuration file alone: the site, the rules that hold in their
order, the cache key, what the origin is asked for, how long the response is fresh and by whose word, the origin
servers with Host, SNI and accepted names. Nothing is sent, and no running Millpond is asked.

  -H 'Name: value'   a field of the request; as often as there are fields
  -R 'Name: value'   a field of the response that is supposed, such as 'Cache-Control: max-age=60'
  --status STATUS    its status; 200 unless given

Exit status: 0 it is explained; 1 no site answers for the name; 2 the file, the URL or a field is wrong.

  millpond explain https://www.example.com/a.css -H Cookie:session=1 --config millpond.toml
";

const DOCTOR: &str = "\
millpond doctor DOMAIN|URL [--config FILE] [--json]
millpond doctor --origin URL [--sni NAME] [--host NAME] [--json]

Says why fetches fail, from this machine and with the site's own settings, and which line of the file mends it. It
looks, in this order, and ends at the first step that is broken:

  0 configuration   what the file alone tells          5 SNI matrix     which certificate for which server name
  1 DNS             does the server's name resolve?    6 certificate    chain, dates, purpose, names
  2 reachability    does every address connect?        7 HTTP           does it answer, and with what?
  3 protocol        is the port TLS or plain HTTP?     8 cacheability   how long would it be kept, and why?
  4 TLS handshake   with the configured SNI

  DOMAIN|URL      an accelerated domain of the file, or a URL under it: www.example.com, https://www.example.com/a.css
  --config FILE   the configuration file; millpond.toml unless given
  --origin URL    a server that no file names yet: http://HOST[:PORT] or https://HOST[:PORT]; any address may be given
  --sni NAME      with --origin: the server name in the TLS handshake; the Host unless given
  --host NAME     with --origin: the Host of the request; the name in the URL unless given
  --json          one JSON object on standard output (its members are described in the library, doctor::Report::json)

  millpond doctor www.example.com --config millpond.toml
  millpond doctor --origin https://192.0.2.7:8443 --sni www.example.com --host www.example.com

The last line names the broken step, what was seen, the line to write, and a command that shows the fault. Only requests
that change nothing are sent (HEAD and GET). Colours appear on a terminal, unless NO_COLOR is set.

Exit status: 0 healthy, perhaps with warnings; 1 a check is broken; 2 the command line or the file is wrong.
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
last failure is marked \"well again\"; \"no client saw it\" means that another address or server made it good at once.
A running Millpond writes its ledger every few seconds.

  DOMAIN          only the site that answers for this name
  --config FILE   the ledger in the state directory of this configuration file: dir under [state]
  --state DIR     the ledger in this directory; DOMAIN is then a site's first domain
  --json          an object a line: site, server, address, cause, phase, count, made_good, first, last, last_good (RFC
                  3339 or null), is_open, failing_addresses, known_addresses, seconds (of the last one's phases),
                  example (time, request, detail, sni, alert, rcode, certificate_names, head_start)

Exit status: 0 the ledger could be read, whatever is in it; 1 it could not; 2 the command line or the file is wrong.

  millpond failures --config millpond.toml
  millpond failures img.example.com --config millpond.toml
";

const DASHBOARD: &str = "\
millpond dashboard

Prints a Grafana dashboard (JSON) over the metrics that Prometheus finds at the operator's door, under /metrics:
requests and hit ratio, how long hits, misses and the phases of fetches take, failures by cause, what is stored,
certificates.

  millpond dashboard > millpond.json      # Grafana: Dashboards, New, Import

Prometheus is told to show the token, which stands in the second line of the file \"token\" in the state directory:

  scrape_configs:
    - job_name: millpond
      authorization: { credentials_file: /etc/prometheus/millpond-token }
      static_configs: [{ targets: [\"127.0.0.1:9180\"] }]
";

const SERVICE: &str = "\
millpond service --config FILE [--socket]

Prints a systemd unit that serves the file, with all rights taken away that Millpond does not need; in its head stand
the commands that set it up. It takes its listening sockets over from systemd, so that nothing is refused while it
restarts.

  --config FILE   the configuration file; it must be valid
  --socket        print the unit of the sockets: the addresses under [listen]

  millpond service --config /etc/millpond/millpond.toml > /etc/systemd/system/millpond.service
  millpond service --config /etc/millpond/millpond.toml --socket > /etc/systemd/system/millpond.socket
";

const HELP: &str = "\
millpond help [COMMAND | config]

Explains the program, a command (serve, check, doctor, explain, init, demo, failures, dashboard, service, prefetch,
purge, tasks), or every key of the configuration file.

  millpond help config | less
";

const PREFETCH: &str = "\
millpond prefetch URL… [--file FILE] [--sitemap URL] [--manifest URL] [-H 'Name: value']… [--rate N] [--parallel N]
                  [--window HH:MM-HH:MM] [--dry-run] [--json]
                  [--config FILE | --admin URL --token-file FILE [--ca FILE]]

Has a running Millpond fetch what clients will ask for, each address as if a client had asked, and shows how far it is.
Only addresses of its own sites are fetched; the others are failures. Clients never wait for it: it takes only
fetchers that are idle. The work goes on by itself: Ctrl-C ends the showing, not the task.

  URL…                   absolute addresses; further ones from
  --file FILE            a file, an address a line (empty lines and lines with # are left out); - is standard input
  --sitemap URL          an XML sitemap, or an index of sitemaps, of one of its sites; .gz will do too
  --manifest URL         an HLS playlist or a DASH manifest: with the playlists and segments that it names
  -H 'Name: value'       a field of every request, for responses that vary by it; as often as there are fields
  --rate N               at most N addresses a second
  --parallel N           at most N fetches at once from one site, 1 to 64; 4 unless given
  --window HH:MM-HH:MM   only in this time of day, in UTC
  --dry-run              only tell what would be fetched; nothing is sent, so that a sitemap or manifest is read only
                         where it is stored and fresh
  --json                 objects, one a line: the task while it goes on, each address, the task at its end
  --config FILE          the file that it serves; millpond.toml unless given. The token is in its state directory
  --admin URL            where its admin listener is, if not there: http://127.0.0.1:9180, or https://NAME:PORT
  --token-file FILE      the file with the token
  --ca FILE              with an https --admin: the certificate of its issuer, or its own; what the system trusts unless
                         given. With --config exactly the certificate that the file names under [admin] is trusted

Exit status: 0 all went well; 1 an address failed, it was refused, or nobody can be asked; 2 the command line is wrong.

  millpond prefetch --sitemap https://www.example.com/sitemap.xml --rate 20 --config millpond.toml
";

const PURGE: &str = "\
millpond purge SCOPE [--hard | --soft | --count] [--then-prefetch] [--json]
               [--config FILE | --admin URL --token-file FILE [--ca FILE]]

Has a running Millpond take stored responses out of use, at once, and says how many. SCOPE is one of

  --url URL                       one address with all its variants; may be given more than once, as the next three
  --prefix URL                    a directory and all below it
  --glob PATTERN                  addresses in which * stands for any letters: 'https://www.example.com/*.jpg*'
  --group NAME --site ORIGIN      a cache group (RFC 9875) of an origin such as https://www.example.com
  --site SITE                     all domains of a site, by one of them
  --everything                    all that is stored

  --hard            remove them; so it is unless something else is given
  --soft            make them stale: the next use asks the origin first, and they are served while it is down
  --count           take nothing, only say how many it would be
  --then-prefetch   fetch anew what was taken, and follow that as millpond prefetch does
  --json, --config, --admin, --token-file, --ca   as with millpond prefetch

Exit status: 0 done; 1 it was refused, or an address could not be fetched anew; 2 the command line is wrong.
";

const TASKS: &str = "\
millpond tasks [ID] [--json] [--config FILE | --admin URL --token-file FILE [--ca FILE]]
millpond tasks --pause ID | --resume ID | --cancel ID | --retry ID

Shows the tasks of a running Millpond, the newest first; or one of them, to its end, and what failed in it.

  --pause ID    let nothing more of it begin           --cancel ID   end it; what it stored stays
  --resume ID   let it go on                           --retry ID    do again what failed or was cancelled
  --json, --config, --admin, --token-file, --ca   as with millpond prefetch

Exit status: 0 all is well; 1 an address failed, or it was refused; 2 the command line is wrong.
";
