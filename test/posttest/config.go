package posttest

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"tlsratchet/contrib"
)

// nobody is the uid and gid that own the inbox.
const nobody = 65534

// services are the parts of Postfix that every instance has, as in Debian's
// master.cf, without a chroot.
const services = `
pickup     unix  n  -  n  60     1  pickup
cleanup    unix  n  -  n  -      0  cleanup
qmgr       unix  n  -  n  300    1  qmgr
tlsmgr     unix  -  -  n  1000?  1  tlsmgr
rewrite    unix  -  -  n  -      -  trivial-rewrite
bounce     unix  -  -  n  -      0  bounce
defer      unix  -  -  n  -      0  bounce
trace      unix  -  -  n  -      0  bounce
verify     unix  -  -  n  -      1  verify
flush      unix  n  -  n  1000?  0  flush
proxymap   unix  -  -  n  -      -  proxymap
proxywrite unix  -  -  n  -      1  proxymap
smtp       unix  -  -  n  -      -  smtp
relay      unix  -  -  n  -      -  smtp
showq      unix  n  -  n  -      -  showq
error      unix  -  -  n  -      -  error
retry      unix  -  -  n  -      -  error
discard    unix  -  -  n  -      -  discard
virtual    unix  -  n  n  -      -  virtual
anvil      unix  -  -  n  -      1  anvil
scache     unix  -  -  n  -      1  scache
tlsproxy   unix  -  -  n  -      0  tlsproxy
postlog    unix-dgram  n  -  n  -  1  postlogd
`

// mainCF is contrib's parts, the private part, and what the caller adds.
func (in *Instance) mainCF() (string, error) {
	var texts []string
	for _, name := range in.opts.Parts {
		b, err := fs.ReadFile(contrib.Files, "postfix/"+name)
		if err != nil {
			return "", fmt.Errorf("contrib/postfix: %w", err)
		}
		texts = append(texts, string(b))
	}
	return compose(append(texts, in.private(), strings.Join(in.opts.Main, "\n"))...), nil
}

// private is what keeps an instance to itself: its places, no DNS, no limits
// that a busy test would meet.
func (in *Instance) private() string {
	o := &in.opts
	lines := []string{
		"compatibility_level = 3.6",
		"queue_directory = " + in.path("spool"),
		"data_directory = " + in.path("data"),
		"maillog_file = " + in.path("maillog"),
		"maillog_file_prefixes = " + in.dir,
		"myhostname = " + o.Hostname,
		"mydestination =",
		"alias_maps =",
		"alias_database =",
		"inet_interfaces = loopback-only",
		"inet_protocols = " + protocols(),
		"mynetworks = " + strings.Join(o.Networks, ", "),
		"relayhost = " + o.Relay,
		"smtp_bind_address = " + o.Source,
		"smtp_dns_support_level = disabled",
		"smtp_host_lookup = native",
		"smtp_tls_CAfile = ${config_directory}/tls/partners.pem",
		"smtpd_peername_lookup = no",
		"smtpd_client_connection_count_limit = 0",
		"smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
		"smtpd_sasl_type = dovecot",
		"smtpd_sasl_path = sasl",
		"virtual_mailbox_domains = " + strings.Join(o.Domains, ", "),
		"virtual_mailbox_maps = static:inbox/",
		"virtual_mailbox_base = " + in.path("mail"),
		fmt.Sprintf("virtual_uid_maps = static:%d", nobody),
		fmt.Sprintf("virtual_gid_maps = static:%d", nobody),
	}
	if o.Resolver != "" {
		lines = append(lines, "smtp_dns_support_level = enabled", "smtp_host_lookup = dns")
	}
	if o.XClient {
		lines = append(lines, "smtpd_authorized_xclient_hosts = 127.0.0.0/8, [::1]")
	}
	if o.ClientCert {
		lines = append(lines, "smtp_tls_chain_files = ${config_directory}/tls/server.pem")
	}
	return strings.Join(lines, "\n")
}

// masterCF is the listeners, then the services.
func (in *Instance) masterCF() (string, error) {
	chroot := "n"
	if in.opts.Chroot {
		chroot = "y"
	}
	var b strings.Builder
	for i, l := range in.opts.Listeners {
		s := service{fields: []string{"", "inet", "n", "-", chroot, "-", "-", "smtpd"}}
		if l.File != "" {
			text, err := fs.ReadFile(contrib.Files, "postfix/"+l.File)
			if err != nil {
				return "", fmt.Errorf("contrib/postfix: %w", err)
			}
			if s, err = find(string(text), l.Service); err != nil {
				return "", fmt.Errorf("contrib/postfix/%s: %w", l.File, err)
			}
		}
		s.fields[0], s.fields[4] = in.addrs[i], chroot
		b.WriteString(strings.Join(s.fields, " ") + "\n")
		for _, line := range s.options {
			b.WriteString(line + "\n")
		}
		for _, o := range l.Options {
			b.WriteString("    -o " + o + "\n")
		}
	}
	if in.opts.Resolver != "" {
		return b.String() + strings.Replace(services, "smtp       unix  -  -  n", "smtp       unix  -  -  y", 1), nil
	}
	return b.String() + services, nil
}

// service is one entry of master.cf: its eight columns, and its option lines.
type service struct {
	fields  []string
	options []string
}

// find returns the inet service of that name in a master.cf.
func find(text, name string) (service, error) {
	for _, entry := range entries(text) {
		fields := strings.Fields(entry[0])
		if len(fields) == 8 && fields[0] == name && fields[1] == "inet" {
			return service{fields: fields, options: entry[1:]}, nil
		}
	}
	return service{}, fmt.Errorf("no inet service %q", name)
}

// compose makes one main.cf of several. Of settings that are there twice the
// last one stays; Postfix would take it too, with a warning.
func compose(texts ...string) string {
	all := entries(strings.Join(texts, "\n"))
	var kept []string
	seen := map[string]bool{}
	for _, entry := range slices.Backward(all) {
		name, _, _ := strings.Cut(entry[0], "=")
		if name = strings.TrimSpace(name); !seen[name] {
			seen[name] = true
			kept = append(kept, strings.Join(entry, "\n"))
		}
	}
	slices.Reverse(kept)
	return strings.Join(kept, "\n") + "\n"
}

// entries splits a Postfix configuration file into logical lines, each with
// the lines that continue it. Comments and empty lines are left out, as
// postconf(5) has it: even within a logical line.
func entries(text string) [][]string {
	var all [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		trimmed := strings.TrimLeft(line, " \t")
		switch {
		case trimmed == "" || trimmed[0] == '#':
		case trimmed != line && len(all) > 0:
			all[len(all)-1] = append(all[len(all)-1], line)
		default:
			all = append(all, []string{trimmed})
		}
	}
	return all
}
