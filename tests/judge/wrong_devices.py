"""The wrong devices of the simulator, each with its broken duty and a part of the finding."""

from __future__ import annotations

from audio_server.judge.duties import Duty
from audio_server.simulator import wrong

WRONG = {
    wrong.NoAudioCall: (Duty.CALLS, "not open after 5 s: audio"),
    wrong.NewIdEachTime: (Duty.ID, "a call came with the device_id den-again"),
    wrong.SpeaksFirst: (Duty.SILENT, "spoke before it was asked"),
    wrong.StartsNothing: (Duty.START, "sent `start: false`"),
    wrong.SaysOk: (Duty.SET, 'answered a set with status: "ok"'),
    wrong.AnswersTwice: (Duty.SET, "answered 6 requests with 9 messages"),
    wrong.HidesItsState: (Duty.GET, "answered a get with status"),
    wrong.KeepsOldLeds: (Duty.DRAWN, "LED 3 is 405060 (expected 000000)"),
    wrong.GivesLed0Away: (Duty.POWER, "LED 0 is 00FF00 (it was FFFFFF before the set)"),
    wrong.CountsTo100: (Duty.BATTERY, "reported a battery level of 55 (expected 0 to 1)"),
    wrong.ReadsNoSound: (Duty.SOUND, " of 250 packets, then none for 3 s"),
    wrong.OneThingAtATime: (Duty.MEANWHILE, "did not answer a set within 2 s"),
    wrong.GivesUpOnCuts: (Duty.TAKES, "ended a call after short takes"),
    wrong.UnsetEvents: (Duty.EVENT, "sent an event with no field set"),
    wrong.WaitsForNoAck: (
        Duty.LOCK_STEP,
        "sent an event before the one before it was acknowledged",
    ),
    wrong.PingsAllTheTime: (Duty.PINGS, "sent PINGs so often that its connection was ended"),
    wrong.LosesHeart: (
        Duty.ALONE,
        "ended its other calls with status, and did not open them again",
    ),
    wrong.ComesAtOnce: (Duty.PATIENCE, "came again 0.25 s after ABORTED"),
}
