package posttest

import (
	"cmp"
	"fmt"
)

// Options say what an instance is. The zero value is an MX for ours.example
// that offers STARTTLS on one listener, without a milter.
type Options struct {
	// Hostname is myhostname; "mx.test" unless set. Instances that send mail to
	// each other need different ones.
	Hostname string
	// Parts are the files of contrib/postfix that main.cf begins with, in that
	// order; main.cf.tls alone unless set. With main.cf.tlsratchet the milter
	// is expected at [Instance.MilterSocket].
	Parts []string
	// Main are further lines of main.cf, such as "smtpd_milters =". They have
	// the last word.
	Main []string
	// Listeners are the smtpd(8) services; one on 127.0.0.1 unless set.
	Listeners []Listener
	// Domains are delivered to [Instance.Inbox], whatever the local part;
	// "ours.example" unless set.
	Domains []string
	// Networks are mynetworks, which may relay; none unless set.
	Networks []string
	// Relay is where all other mail goes, as relayhost has it:
	// "[127.0.0.1]:20025". Unless set, other mail is not accepted from
	// strangers, and bounces.
	Relay string
	// Source is the address that smtp(8) sends from, such as "127.0.0.2".
	Source string
	// XClient lets everybody on loopback play any peer (XCLIENT).
	XClient bool
	// Chroot runs smtpd(8) chrooted in the queue directory, as Debian does.
	Chroot bool
	// Users are names and passwords for SASL on listeners that offer it.
	Users map[string]string
	// CA makes the server's certificate, and is the one CA whose client
	// certificates the instance trusts (with main.cf.client-certs). The
	// instance makes its own unless set.
	CA *CA
	// Resolver is the address of the name server by which smtp(8), chrooted, finds
	// the MX hosts of destinations; "" for no DNS at all.
	Resolver string
	// ClientCert has smtp(8) present a certificate of CA for Hostname.
	ClientCert bool
}

// Listener is an smtpd(8) service. The zero value is a public one on 127.0.0.1.
type Listener struct {
	// Host is the address to listen on, without a port; "127.0.0.1" unless set.
	// The port is chosen free, between 20000 and 31999.
	Host string
	// File and Service name an entry of contrib/postfix that this listener is,
	// such as master.cf.submission and submission.
	File, Service string
	// Options are further -o options, such as "smtpd_tls_security_level=none".
	Options []string
}

func (o Options) withDefaults() (Options, error) {
	o.Hostname = cmp.Or(o.Hostname, "mx.test")
	if o.Parts == nil {
		o.Parts = []string{"main.cf.tls"}
	}
	if o.Domains == nil {
		o.Domains = []string{"ours.example"}
	}
	if o.Listeners == nil {
		o.Listeners = []Listener{{}}
	}
	if o.CA == nil {
		ca, err := NewCA("tlsratchet test CA")
		if err != nil {
			return o, fmt.Errorf("CA of %s: %w", o.Hostname, err)
		}
		o.CA = ca
	}
	return o, nil
}
