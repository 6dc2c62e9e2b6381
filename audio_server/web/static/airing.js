// The microphone on a live channel: its packets over a WebSocket, for as long as both last.

import { Refusal } from "./ask.js";
import { packets } from "./microphone.js";

const LOST = "The connection to the server was lost.";
const BEHIND_BYTES = 64 * 1024;  // that wait for the network, after which packets are left out

// Resolves when the channel is this page's. `lost` is called once, if anything but `close` ends it.
/**
 * @param {string} channel @param {(level: number) => void} meter @param {(why: string) => void} lost
 */
export async function air(channel, meter, lost) {
  const address = new URL(`/api/live/${encodeURIComponent(channel)}`, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  /** @type {(why: string) => void} */
  let ended = () => {};
  let isOver = false;
  /** @type {WebSocket | null} */
  let socket = null;
  const sound = await packets((packet) => {
    if (socket?.readyState === WebSocket.OPEN && socket.bufferedAmount < BEHIND_BYTES) socket.send(packet);
  }, meter, (why) => ended(why));
  const close = async () => {
    isOver = true;
    await sound.close();
    socket?.close();
  };
  try {
    socket = await opened(address.href, (why) => ended(why));
  } catch (error) {
    await close();
    throw error;
  }
  ended = async (why) => {
    if (isOver) return;
    await close();
    lost(why);
  };
  return { close };
}

/** @param {string} address @param {(why: string) => void} ended @returns {Promise<WebSocket>} */
function opened(address, ended) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address);
    socket.onmessage = () => resolve(socket);
    socket.onclose = ({ reason }) => {
      const why = reason ? `${reason[0].toUpperCase()}${reason.slice(1)}.` : LOST;
      reject(new Refusal(0, why));
      ended(why);
    };
  });
}
