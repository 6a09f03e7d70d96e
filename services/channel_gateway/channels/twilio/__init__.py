"""SMS, MMS and WhatsApp through Twilio; see README.md."""

from services.channel_gateway.channels.twilio.channel import Twilio

channel = Twilio()
"""SMS, MMS and WhatsApp through Twilio."""
