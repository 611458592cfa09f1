package main

import "github.com/urfave/cli/v2"

// manual returns the page of man(1): the commands as the program knows them, and
// what stands beside them.
func manual(app *cli.App) (string, error) {
	usageTexts(app.Name, app.Commands)
	page, err := app.ToManWithSection(8)
	return page + manualTail, err
}

// usageTexts gives each command a line with its arguments.
func usageTexts(above string, commands []*cli.Command) {
	for _, c := range commands {
		name := above + " " + c.Name
		if c.UsageText == "" && len(c.Subcommands) == 0 {
			c.UsageText = name + " [flags] " + c.ArgsUsage
		}
		usageTexts(name, c.Subcommands)
	}
}

const manualTail = `
.SH ARGUMENTS
.TP
\fIIDENTITY\fR, \fIPEER\fR
\fBaddress:192.0.2.10\fR, \fBdomain:bank.example\fR, \fBsender:\fR\fINAME\fR, \fBlistener:\fR\fIPORT\fR, \fBdestination:bank.example\fR or \fBmx:\fR\fIHOST\fR; an address or a domain alone is understood.
.TP
\fINAME\fR
the name of a client as DNS confirms it, or its address.
.TP
\fIFILE\fR
a file, or \fB-\fR for the standard input. Logs may be compressed.
.PP
Flags come before arguments.

.SH FILES
.TP
/etc/tlsratchet/tlsratchet.toml
the configuration, read by all commands where it exists. The file tlsratchet.toml of the documentation has every key, its default and what it costs.
.TP
/var/lib/tlsratchet/history.db
the memory. Beside it are two daily snapshots, the incidents, and the states of the circuit breaker, of the alerts and of the sending side.
.TP
/var/lib/tlsratchet/admin.sock
where the commands reach the daemon.
.TP
/var/spool/postfix/tlsratchet/tlsratchet.sock, policy.sock
where Postfix reaches it: as its milter, and to ask about destinations.

.SH ENVIRONMENT
.TP
TLSRATCHET_CONFIG
the configuration file; \fBnone\fR reads none.
.TP
TLSRATCHET_\fITABLE\fR_\fIKEY\fR
overrides a key of the file: TLSRATCHET_POLICY_STRIPPED=tempfail. Lists are separated by commas. Flags override both.
.TP
TLSRATCHET_SHARED_PASSWORD
the password of the shared server, where no file holds it.
.TP
NO_COLOR
prints no colours.
.TP
NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS, JOURNAL_STREAM
are set by systemd: readiness, watchdog, sockets, and lines with a priority.

.SH SIGNALS
.TP
SIGHUP
serve reads the configuration again. What is wrong leaves the old one running.
.TP
SIGTERM, SIGINT
serve ends: sessions in the middle of a message get their answers first.

.SH EXIT STATUS
0 done, 1 a failure, 2 usage or configuration.

.SH EXAMPLES
.TP
Try the daemon without a configuration, and mark mail that lost its encryption:
tlsratchet serve --config none --action header
.TP
See what it would have done with the mail of the last days:
tlsratchet replay /var/log/mail.log
.TP
See why a message was marked, and let the peer off:
tlsratchet explain --client 192.0.2.10 mx1.bank.example
.br
tlsratchet peer unpin --why "new provider, ticket 17" domain:bank.example
.TP
See what Postfix still needs:
tlsratchet doctor

.SH SEE ALSO
.BR postconf (5),
.BR milter-protocol (7),
.BR systemd.exec (5),
.BR journalctl (1)
.PP
RFC 3207, RFC 7208, RFC 8461
`
