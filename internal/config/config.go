// Package config is tlsratchet's configuration: one TOML file, strict, every
// key of it optional. The defaults, which are the
// file that we ship, come first, then the operator's file, then TLSRATCHET_
// variables, then flags; all is validated before anything is used, and all
// that is wrong is reported at once, with file, line, key and what would be right.
//
// That no [[peer]] row stands for everybody follows RFC 3207 section 4.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"tlsratchet/contrib"
	"tlsratchet/internal/alert"
	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
)

// Memory is the [Config.History] that is kept in memory alone.
const Memory = "memory"

// Where things are unless the operator says otherwise.
const (
	DefaultSocket  = "/var/spool/postfix/tlsratchet/tlsratchet.sock"
	DefaultHistory = "/var/lib/tlsratchet/history.db"
	// DefaultFile is read where it exists and no other file is named.
	DefaultFile = "/etc/tlsratchet/tlsratchet.toml"
)

// Config is a configuration that was validated. It is never changed after
// [Load]: a reload makes a new one. The defaults and ranges of all keys are in
// contrib/tlsratchet.toml.
type Config struct {
	// Listen holds at least one listener, none of them twice.
	Listen []wire.Spec
	// History is the clean absolute path of the history file, or [Memory].
	History string
	// ExemptNetworks are the networks whose sessions are neither judged nor
	// learned.
	ExemptNetworks []netip.Prefix
	// JudgeNetworks are networks of private addresses that are real peers':
	// without being listed here, or in a row, those are not judged.
	JudgeNetworks []netip.Prefix
	// PlainListeners are our own ports that offer no STARTTLS.
	PlainListeners []string
	// Options are what both doors for incoming mail do.
	inbound.Options

	Socket Socket
	Log    Log
	Limits Limits
	Shared Shared
	Admin  Admin
	// Breaker is when the circuit breaker trips: its numbers alone.
	Breaker ratchet.BreakerOptions
	// Selfcheck is how our own STARTTLS is tried out; its Address may be [Off].
	Selfcheck selfcheck.Options
	Status    Status
	SPF       SPF
	// Alert and Destinations are where is reported what happened. Secrets are in the
	// latter by reference alone: "file:/path" or "env:NAME".
	Alert        Alert
	Destinations []alert.Settings
	// Policy is the base policy: what holds for peers without a row.
	Policy tlsstate.Policy
	// Peers are the [[peer]] rows in the order of the file.
	Peers         []tlsstate.Row
	PolicyService PolicyService
	// Outbound is the sending side, Sends its [[send]] rows in the order of the
	// file.
	Outbound Outbound
	Sends    []tlsstate.Row

	rules, outboundRules *tlsstate.Rules
	warnings             []string
	// problem returns an error with its place.
	problem func(position string, err error) problem
}

// Flags are the texts of flags by their names: "listen" (several with commas between),
// "history" (a relative path begins at the working folder), "action" (for stripped),
// and the other keys of [policy] with hyphens. Others are ignored.
type Flags map[string]string

// Load returns the configuration of a file, the variables that env finds
// ([os.LookupEnv]) and flags. With path "" there is no file, with a nil env no
// variables; a variable that is set but empty is a value. The error joins one for
// each mistake, those of the file first, by line. On an error show it, and keep the
// configuration that was running.
func Load(path string, env func(string) (string, bool), flags Flags) (*Config, error) {
	var data []byte
	if path != "" {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("read the configuration: %w", err)
		}
	}
	return load(path, data, env, flags)
}

func load(name string, data []byte, env func(string) (string, bool), flags Flags) (*Config, error) {
	l := newLoader(name, defaults())
	l.fromFile(data)
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	l.overrides(env, flags)
	l.rules()
	l.checkSharedPrivate()
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.config, nil
}

// defaults are what the file that we ship says.
func defaults() *Config {
	const file = "tlsratchet.toml"
	data, err := contrib.Files.ReadFile(file)
	l := newLoader(file, &Config{})
	l.fromFile(data)
	if err := errors.Join(err, l.err()); err != nil {
		panic(fmt.Sprintf("the defaults: %v", err)) // the tests load them
	}
	return l.config
}

// Rules returns the policy, the [[peer]] rows and the exempt networks, made
// ready.
func (c *Config) Rules() *tlsstate.Rules { return c.rules }

// NeedRestart returns the keys whose values differ from those that run, and that
// a reload does not change.
func (c *Config) NeedRestart(running *Config) (keys []string) {
	before := settings(running)
	for i, s := range settings(c) {
		if !s.live && s.show() != before[i].show() {
			keys = append(keys, s.name)
		}
	}
	return keys
}

// At returns an error of a key, such as "admin.group", that names the file and
// line, variable or flag that sets it.
func (c *Config) At(key string, err error) error { return c.problem(key, err) }

// InMemory reports whether the history is kept in memory alone.
func (c *Config) InMemory() bool { return c.History == Memory }
