#!/usr/bin/env bash
# Builds the guests of the demo and of the tests:   build.sh [--micro | --hardware | --host | --sata] [DIR]
# into DIR (default: ~/.cache/lockstep/guests) as micro.elf, vmlinuz and initrd.gz, and prints DIR. With --micro only micro.elf; with --hardware
# only the guest of the hardware tests, as hardware.vmlinuz and hardware.cpio, with --host only the guest that VMs run in, as host.vmlinuz and
# host.cpio; with --sata only the linux guest once more, on a kernel that knows AHCI, as sata.vmlinuz and sata.initrd.gz.
# Does nothing when they are there and their sources are the same. Needs gcc, and for the linux guests libc6-dev, busybox-static, cpio and apt,
# which downloads the distribution's cloud kernel once (for the last three its full kernel, 70 MB); after that it works offline. It installs nothing.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
cache=${LOCKSTEP_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/lockstep}
wanted=all
case ${1:-} in
    --micro | --hardware | --host | --sata) wanted=${1#--}; shift ;;
esac
dir=${1:-$cache/guests}
mkdir -p "$dir" "$cache"
dir=$(cd "$dir" && pwd)
exec 9>"$cache/build.lock"
flock 9

# Modules that the linux guest loads, in this order; what a kernel has built in, or has not got, is left out.
modules="virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover virtio_net virtio_blk
 nvme-core nvme virtio_balloon qemu_fw_cfg pvpanic pvpanic-pci efivarfs crc16 mbcache crc32c_generic jbd2 ext4"
# Those for disks that are not virtio-blk: loaded where the guest is told to use one.
scsi_modules="crct10dif_common crc-t10dif crc64 crc64-rocksoft t10-pi scsi_common scsi_mod sd_mod virtio_scsi libata ata_piix libahci ahci"
# The hardware guest's: what raises errors, and the way to the management controller.
hardware_modules="mce-inject hwpoison-inject aer_inject ipmi_msghandler ipmi_devintf ipmi_si"
# The host guest's: the way to this machine's files, and what VMs' networks are made of.
host_modules="virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p overlay
 tun tap vhost_iotlb vhost vhost_net"

fail() {
    echo "build.sh: $*" >&2
    exit 1
}

build_micro() {
    local flags="-m32 -march=i686 -O2 -std=gnu11 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-pie -no-pie -fno-stack-protector
        -fno-asynchronous-unwind-tables -fcf-protection=none -mgeneral-regs-only -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack"
    # shellcheck disable=SC2086
    gcc $flags -Wl,-T,"$here/micro/micro.ld" -o "$dir/micro.elf.new" "$here/micro/start.S" "$here/micro/micro.c"
    mv "$dir/micro.elf.new" "$dir/micro.elf"
}

# Prints the name of the newest kernel that apt knows of the first of some metapackages that there is.
kernel_version() {
    local meta version
    for meta in "$@"; do
        version=$(apt-cache depends "$meta" 2>/dev/null | sed -n 's/.*Depends: linux-image-\([0-9]\)/\1/p' | head -n 1)
        if [ -n "$version" ]; then
            echo "$version"
            return
        fi
    done
    fail "apt knows none of $*; run: apt-get update"
}

# Usage: kernel NAME METAPACKAGE...; downloads and unpacks a kernel into the cache as NAME, or finds the one that is there.
kernel() {
    local unpacked="$cache/$1" version package more=linux-modules
    # Ubuntu keeps the modules in packages of their own, most drivers in a second one.
    [ "$1" = kernel ] || more="linux-modules linux-modules-extra"
    shift
    [ ! -e "$unpacked/version" ] || return 0
    version=$(kernel_version "$@")
    rm -rf "$unpacked.new"
    mkdir -p "$unpacked.new/packages"
    (
        cd "$unpacked.new/packages"
        # As root apt would download as a user of its own, who may not write here.
        apt-get download -q -o APT::Sandbox::User=root "linux-image-$version" >&2 || fail "cannot download linux-image-$version; run: apt-get update"
        for package in $more; do
            if apt-cache show "$package-$version" >/dev/null 2>&1; then apt-get download -q -o APT::Sandbox::User=root "$package-$version" >&2; fi
        done
        for package in *.deb; do dpkg -x "$package" ..; done
    )
    rm -rf "$unpacked.new/packages"
    # Merged and unmerged /usr.
    [ -d "$unpacked.new/lib/modules" ] || ln -s usr/lib "$unpacked.new/lib"
    echo "$version" >"$unpacked.new/version"
    rm -rf "$unpacked"
    mv "$unpacked.new" "$unpacked"
}

# Usage: add_modules KERNEL ORDER NAME...; puts modules into the guest under $root, and their order beside them in a file of that name.
add_modules() {
    local name found unpacked="$cache/$1" order="$root/mod/$2"
    shift 2
    : >"$order"
    for name in "$@"; do
        found=$(find "$unpacked/lib/modules/" \( -name "$name.ko" -o -name "$name.ko.xz" -o -name "$name.ko.zst" \) | head -n 1)
        case $found in
            '') continue ;;
            *.xz) xz -dc "$found" >"$root/mod/$name.ko" ;;
            *.zst) zstd -dcq "$found" >"$root/mod/$name.ko" ;;
            *) cp "$found" "$root/mod/$name.ko" ;;
        esac
        echo "$name.ko" >>"$order"
    done
}

# Usage: add_programs FOLDER NAME...; the guest's busybox, its first process and its own programs.
add_programs() {
    local from="$here/$1" program
    shift
    rm -rf "$root"
    mkdir -p "$root"/{bin,proc,sys,dev,tmp,mod,log}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for program in "$@"; do
        gcc -O2 -static -std=gnu11 -Wall -Wextra -Werror -o "$root/bin/$program" "$from/$program.c"
    done
    install -m 755 "$from/init" "$root/init"
}

pack() { (cd "$root" && find . -print0 | sort -z | cpio --null --quiet -o -H newc -R 0:0); }

# Usage: build_on CACHED KERNEL INITRD METAPACKAGE...; the linux guest on that kernel, into files of these names.
build_on() {
    local unpacked=$1 image=$2 initrd=$3 root="$dir/$3.root"
    shift 3
    kernel "$unpacked" "$@"
    install -m 644 "$cache/$unpacked/boot/vmlinuz-$(cat "$cache/$unpacked/version")" "$dir/$image.new"
    add_programs linux chain load server
    # shellcheck disable=SC2086
    add_modules "$unpacked" order $modules
    # shellcheck disable=SC2086
    add_modules "$unpacked" scsi-order $scsi_modules
    pack | gzip -n -1 >"$dir/$initrd.new"
    rm -rf "$root"
    mv "$dir/$image.new" "$dir/$image"
    mv "$dir/$initrd.new" "$dir/$initrd"
}

build_linux() { build_on kernel vmlinuz initrd.gz "linux-image-cloud-$(dpkg --print-architecture)" linux-image-kvm linux-image-virtual; }
build_sata() { build_on full-kernel sata.vmlinuz sata.initrd.gz "linux-image-$(dpkg --print-architecture)" linux-image-generic; }

# Usage: build_full NAME PROGRAM... -- MODULE...; a guest with the distribution's full kernel.
build_full() {
    local name=$1 root="$dir/$1.new" programs=()
    shift
    while [ "$1" != -- ]; do programs+=("$1"); shift; done
    shift
    kernel full-kernel "linux-image-$(dpkg --print-architecture)" linux-image-generic
    install -m 644 "$cache/full-kernel/boot/vmlinuz-$(cat "$cache/full-kernel/version")" "$dir/$name.vmlinuz.new"
    add_programs "$name" "${programs[@]}"
    add_modules full-kernel order "$@"
    pack >"$dir/$name.cpio.new"
    rm -rf "$root"
    mv "$dir/$name.vmlinuz.new" "$dir/$name.vmlinuz"
    mv "$dir/$name.cpio.new" "$dir/$name.cpio"
}

# shellcheck disable=SC2086
build_hardware() { build_full hardware bmc page -- $hardware_modules; }

# shellcheck disable=SC2086
build_host() { build_full host -- $host_modules; }

# Usage: once WHAT RESULT [FOLDER]; runs a build when its result is missing or was built from other sources.
once() {
    local what=$1 result=$2 folder=${3:-$1} program sources
    sources=$(cd "$here" && sha256sum build.sh chain.h "$folder"/* | sha256sum | cut -d ' ' -f 1)
    [ -e "$dir/$result" ] && [ "$(cat "$dir/$what.sources" 2>/dev/null)" = "$sources" ] && return
    for program in gcc:gcc busybox:busybox-static cpio:cpio; do
        [ "$what" != micro ] || [ "$program" = gcc:gcc ] || continue
        command -v "${program%%:*}" >/dev/null ||
            fail "${program%%:*} is missing; run: apt-get install -y --no-install-recommends ${program#*:} libc6-dev"
    done
    "build_$what"
    echo "$sources" >"$dir/$what.sources"
}

case $wanted in
    micro) once micro micro.elf ;;
    hardware) once hardware hardware.cpio ;;
    host) once host host.cpio ;;
    sata) once sata sata.initrd.gz linux ;;
    all)
        once micro micro.elf
        once linux initrd.gz
        ;;
esac
echo "$dir"
