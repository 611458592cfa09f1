// Command receiver plays the world around the host of the systemd test: the MX
// host of a destination, and the server that takes alerts. It writes what came,
// one line each, to two files: "received" (recipient and TLS version) and "alerts"
// (the body). GET /strip takes STARTTLS out of the host's replies, GET /offer puts
// it back.
package main

import (
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"tlsratchet/test/posttest"
)

func main() {
	mx := flag.String("mx", "", "where the MX host listens, `host:port`")
	web := flag.String("web", "", "where alerts are taken, `host:port`")
	dir := flag.String("dir", ".", "the `folder` of the two files")
	flag.Parse()
	if err := run(*mx, *web, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1)
	}
}

func run(mx, web, dir string) error {
	ca, err := posttest.NewCA("receiver")
	if err != nil {
		return err
	}
	sink, err := posttest.NewSink(mx, "mx.remote.example", ca)
	if err != nil {
		return err
	}
	defer sink.Close()
	go note(sink, filepath.Join(dir, "received"))
	http.HandleFunc("GET /strip", func(http.ResponseWriter, *http.Request) { sink.Set(posttest.Behaviour{NoOffer: true}) })
	http.HandleFunc("GET /offer", func(http.ResponseWriter, *http.Request) { sink.Set(posttest.Behaviour{}) })
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = add(filepath.Join(dir, "alerts"), string(bytes.ReplaceAll(body, []byte("\n"), nil)))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return http.ListenAndServe(web, nil)
}

// note writes a line for each recipient's message.
func note(sink *posttest.Sink, path string) {
	for seen := 0; ; time.Sleep(50 * time.Millisecond) {
		for _, r := range sink.Received()[seen:] {
			if err := add(path, r.Recipient+" "+version(r.Version)); err != nil {
				fmt.Fprintln(os.Stderr, "receiver:", err)
				os.Exit(1)
			}
			seen++
		}
	}
}

func version(v uint16) string {
	if v == 0 {
		return "clear"
	}
	return tls.VersionName(v)
}

func add(path, line string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, line)
	return err
}
