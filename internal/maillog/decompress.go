package maillog

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// decompressed returns what r holds in clear, by its first bytes, and the time
// of the file if the compression keeps it. Call done when done.
func decompressed(r io.Reader) (plain io.Reader, at time.Time, done func(), err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	done = func() {}
	magic, err := b.Peek(6)
	if err != nil && err != io.EOF {
		return nil, at, nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, at, nil, fmt.Errorf("gzip: %w", err)
		}
		if z.ModTime.Unix() > 0 { // 0 is none (RFC 1952 section 2.3.1)
			at = z.ModTime
		}
		return z, at, done, nil
	case bytes.HasPrefix(magic, []byte("\x28\xb5\x2f\xfd")):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, at, nil, fmt.Errorf("zstd: %w", err)
		}
		return z, at, z.Close, nil
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ\x00")):
		z, err := xz.NewReader(b)
		if err != nil {
			return nil, at, nil, fmt.Errorf("xz: %w", err)
		}
		return z, at, done, nil
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(b), at, done, nil
	}
	return b, at, done, nil
}

// maxWindow bounds the memory of a decompression: zstd --long has 128 MiB.
const maxWindow = 128 << 20
