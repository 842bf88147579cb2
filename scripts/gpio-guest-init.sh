#!/bin/busybox sh
# First process of the guest for GPIO tests: loads the modules, takes the host's files for its own (read only), and runs
# test/peers/gpio-guest-agent.mjs, through which a test does everything else. The machine ends when that does.
#
# From the kernel's command line, with %20 for a space: sai.node= the host's Node, sai.repo= the checkout,
# sai.host= where the test listens.
PATH=/bin
b=/bin/busybox
complain() { $b echo "guest: $*" > /dev/console; }
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r module; do
  $b insmod "/modules/$module" || complain "expected the module $module to load"
done < /modules/order
for word in $($b cat /proc/cmdline); do
  value=$($b echo "${word#*=}" | $b sed 's/%20/ /g')
  case $word in
    sai.node=*) node=$value ;;
    sai.repo=*) repo=$value ;;
    sai.host=*) host=$value ;;
  esac
done
$b ip link set lo up
$b ip addr add 10.0.2.15/24 dev eth0
$b ip link set eth0 up
$b ip route add default via 10.0.2.2

share() { $b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 "$1" "$2" || complain "expected the share $1"; }
share host /host
for folder in proc sys dev; do $b mount --move /$folder /host/$folder; done
for folder in tmp run; do $b mount -t tmpfs tmpfs /host/$folder; done
$b mkdir -p /host/dev/pts /host/dev/shm /host/run/lock
$b mount -t devpts -o ptmxmode=666 devpts /host/dev/pts
$b mount -t tmpfs tmpfs /host/dev/shm
$b mount -t configfs configfs /host/sys/kernel/config
$b mount -t tracefs tracefs /host/sys/kernel/tracing
# A checkout below /tmp would be hidden.
if ! [ -e "/host$repo/package.json" ]; then
  $b mkdir -p "/host$repo"
  share repo "/host$repo"
fi
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/tmp
$b chroot /host "$node" "$repo/test/peers/gpio-guest-agent.mjs" "$host" > /host/dev/console 2>&1
# By way of isa-debug-exit; the rest is for a QEMU without it.
$b printf 'x' | $b dd of=/host/dev/port bs=1 seek=244 2> /dev/null
$b echo o > /host/proc/sysrq-trigger
$b sleep 10
