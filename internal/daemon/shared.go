package daemon

import (
	"crypto/x509"
	"fmt"
	"os"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store/shared"
)

// share has the memory meet those of other hosts, if there are any. The server
// may come later; an error says what is wrong in the configuration, and leaves
// the memory open.
func (d *Daemon) share(cfg *config.Config) error {
	if cfg.Shared.URL == "" {
		return nil
	}
	roots, err := readRoots(cfg)
	if err != nil {
		return err
	}
	s, err := shared.New(d.histories, shared.Options{
		URL: cfg.Shared.URL, Password: cfg.Shared.Password, Roots: roots, Timeout: cfg.Shared.Timeout,
		Policy: func() *tlsstate.Policy { return d.config.Load().Rules().Default() },
		Logger: d.log,
	})
	if err != nil {
		return cfg.At("shared", err)
	}
	d.histories = s
	return nil
}

// readRoots reads authorities in PEM; nil is for the system's.
func readRoots(cfg *config.Config) (*x509.CertPool, error) {
	const key = "shared_roots_file"
	file := cfg.Shared.RootsFile
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, cfg.At(key, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, cfg.At(key, fmt.Errorf("no certificate in %s", file))
	}
	return roots, nil
}

// whole is the memory for operators: of all hosts, where it is shared.
func (d *Daemon) whole() admin.Memory {
	if s, ok := d.histories.(*shared.Store); ok {
		return shared.Whole{Store: s}
	}
	return d.histories
}
