#!/usr/bin/env bash
# Makes what the test bed's Xen host boots from, of Debian packages: xen-image.sh FOLDER MIRROR SUITE.
# In FOLDER then are xen, vmlinuz and initrd for QEMU, and disk.img with Domain-0 and what its guests boot from.
# Progress goes to standard error, what the tools say to standard output.
# Wants root, and a mount namespace of its own: debootstrap leaves /proc mounted when it is killed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$1 mirror=$2 suite=$3
root=$folder/root
umask 022

packages=xen-hypervisor-4.17-amd64,xen-utils-4.17,xenstore-utils,libvirt-daemon,libvirt-daemon-driver-xen
packages+=,libvirt-clients,linux-image-amd64,kmod,iproute2,busybox-static

# In the order of their use; each brings those that it needs.
modules="ata_piix sd_mod ext4 e1000 xen-evtchn xen-gntdev xen-gntalloc xenfs xen-privcmd"

exec 3>&2 2>&1
say() {
    printf '== Xen image: %s\n' "$*"
    printf '== Xen image: %s\n' "$*" >&3
}

# Makes a gzipped initramfs of the folder $1.
pack() { (cd "$1" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1); }

# Makes the folder $1 with busybox and the program $2 as its init.
initramfs() {
    mkdir -p "$1"/bin "$1"/sbin "$1"/modules "$1"/proc "$1"/sys "$1"/dev "$1"/disk
    cp "$root/bin/busybox" "$1/bin/busybox"
    ln -s busybox "$1/bin/sh"
    install -m 755 "$2" "$1/init"
}

say "unpacking the Debian packages (a minute or two)"
debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror"
version=$(basename "$root"/lib/modules/*)
cp "$root/boot/vmlinuz-$version" "$folder/vmlinuz"
gunzip <"$root/boot/xen-4.17-amd64.gz" >"$folder/xen"

say "packing what Domain-0 boots from"
cat >"$folder/start" <<'END'
#!/bin/sh
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do /bin/busybox insmod "$module"; done
until /bin/busybox mount -t ext4 /dev/sda /disk; do /bin/busybox sleep 1; done
/bin/busybox mount --move /dev /disk/dev
exec /bin/busybox switch_root /disk /sbin/xen-dom0-init
END
initramfs "$folder/dom0" "$folder/start"
number=100
for module in $modules; do
    while read -r _ file _; do
        compgen -G "$folder/dom0/modules/*-${file##*/}" >/dev/null && continue
        cp "$root$file" "$folder/dom0/modules/$number-${file##*/}"
        number=$((number + 1))
    done < <(chroot "$root" modprobe --show-depends -S "$version" "$module" | grep ^insmod)
done
pack "$folder/dom0" >"$folder/initrd"

say "packing what the guests boot from"
initramfs "$folder/guest" "$here/guest-init"
# The kernel calls it when Xen asks for a shutdown; busybox alone would ask an init that does not listen.
printf '#!/bin/sh\nexec /bin/busybox poweroff -f\n' >"$folder/guest/sbin/poweroff"
chmod +x "$folder/guest/sbin/poweroff"
mkdir "$root/guest"
pack "$folder/guest" >"$root/guest/initrd"
cp "$folder/vmlinuz" "$root/guest/vmlinuz"

say "making the disk"
install -m 755 "$here/xen-dom0-init" "$root/sbin/xen-dom0-init"
printf 'listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\n' >"$root/etc/libvirt/libvirtd.conf"
# libvirt's other drivers want users and servers that are not there, and take the daemon down with them.
find "$root/usr/lib" -path '*/connection-driver/*' ! -name '*_libxl.so' -type f -delete
rm -rf "$root"/boot/* "$root"/lib/modules "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
mke2fs -q -t ext4 -O ^has_journal -d "$root" "$folder/disk.img" 4G

rm -rf "$root" "$folder/dom0" "$folder/guest" "$folder/start"
