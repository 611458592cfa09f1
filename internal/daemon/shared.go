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
func (d *Daemon) share(cfg config.Shared) error {
	if cfg.URL == "" {
		return nil
	}
	roots, err := readRoots(cfg.RootsFile)
	if err != nil {
		return err
	}
	s, err := shared.New(d.histories, shared.Options{
		URL: cfg.URL, Password: cfg.Password, Roots: roots, Timeout: cfg.Timeout,
		Policy: func() *tlsstate.Policy { return d.config.Load().Rules().Default() },
		Logger: d.log,
	})
	if err != nil {
		return fmt.Errorf("shared: %w", err)
	}
	d.histories = s
	return nil
}

// readRoots reads authorities in PEM; nil is for the system's.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("shared_roots_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("shared_roots_file: no certificate in %s", file)
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
