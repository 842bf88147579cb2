#!/bin/busybox sh
# First process of the emulated Raspberry Pi: loads the modules, brings up its USB network card, and runs
# test/peers/gpio-guest-agent.mjs, through which a test does everything else. The machine ends when that does.
#
# From the kernel's command line: sai.host= where the test listens.
b=/bin/busybox
export PATH=/bin
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
$b mkdir -p /tmp /run/lock
$b --install -s /bin
while read -r module; do
  insmod "/modules/$module" || echo "guest: expected the module $module to load" > /dev/console
done < /modules/order
for word in $(cat /proc/cmdline); do
  case $word in sai.host=*) host=${word#*=} ;; esac
done
until [ -e /sys/class/net/usb0 ]; do sleep 0.1; done
ip link set lo up
ip addr add 10.0.2.15/24 dev usb0
ip link set usb0 up
ip route add default via 10.0.2.2
# The card takes a moment more until somebody hears it.
until ping -c 1 -W 1 10.0.2.2 > /dev/null 2>&1; do :; done
export HOME=/tmp
/bin/node /sai-rig/test/peers/gpio-guest-agent.mjs "$host" > /dev/console 2>&1
poweroff -f
